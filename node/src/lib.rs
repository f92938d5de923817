//! What every node has: its server, the services of both chains, its command line.
