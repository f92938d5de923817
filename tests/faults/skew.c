/* A system clock that is wrong by DB3_CLOCK_SKEW_SECS seconds, for tests/faults.py: loaded before the C library
 * (LD_PRELOAD), so that the program under test is the one that users run. The monotonic clock stays as it is. CometBFT does
 * not ask the C library; `scripts/install-cometbft --test-clock` builds one whose clock the same variable moves.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    __typeof__(clock_gettime) *next = (__typeof__(clock_gettime) *)dlsym(RTLD_NEXT, "clock_gettime");
    int failed = next(clock, now);
    const char *skew = getenv("DB3_CLOCK_SKEW_SECS");
    if (!failed && clock == CLOCK_REALTIME && skew) now->tv_sec += atol(skew);
    return failed;
}
