"""Two votes that a validator's key gives at one height, long after it, and the proof of them as CometBFT's RPC takes it."""

import base64
import hashlib
import http.client
import json
import socket
from datetime import datetime
from pathlib import Path

# Ed25519 as in RFC 8032, section 5.1, on affine points: slow, and a few signatures are all that is asked for.
P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def base_point():
    y = 4 * pow(5, -1, P) % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (x if x % 2 == 0 else P - x), y


def add(one, other):
    (a, b), (c, d) = one, other
    k = D * a * b * c * d % P
    return (a * d + b * c) * pow(1 + k, -1, P) % P, (b * d + a * c) * pow(1 - k, -1, P) % P


def times(scalar, point):
    found = (0, 1)
    while scalar:
        if scalar & 1:
            found = add(found, point)
        point, scalar = add(point, point), scalar >> 1
    return found


def encoded(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def number(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little")


def sign(seed, message):
    digest = hashlib.sha512(seed).digest()
    secret = int.from_bytes(digest[:32], "little") & (2**254 - 8) | 2**254
    public, nonce = encoded(times(secret, base_point())), number(digest[32:], message) % ORDER
    commitment = encoded(times(nonce, base_point()))
    answer = (nonce + number(commitment, public, message) * secret) % ORDER
    return commitment + answer.to_bytes(32, "little")


def varint(value):
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def field(tag, content):
    """A field of protobuf that holds bytes, or a message."""
    return varint(tag << 3 | 2) + varint(len(content)) + content


def timestamp(text):
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(whole + "+00:00").timestamp())
    nanoseconds = int(fraction.ljust(9, "0")) if fraction else 0
    return b"\x08" + varint(seconds) + (b"\x10" + varint(nanoseconds) if nanoseconds else b"")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def comet(home, method, **params):
    """Asks the CometBFT of a node."""
    connection = UnixConnection(Path(home) / "cometbft" / "run" / "rpc.sock")
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    connection.request("POST", "/", body, {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


def double_signed(culprit, home, chain_id, height):
    """The proof that the validator of the home `culprit` signed two blocks of a height, which the node of `home` keeps."""
    key = json.loads((Path(culprit) / "config" / "priv_validator_key.json").read_text())
    seed = base64.b64decode(key["priv_key"]["value"])[:32]
    time = comet(home, "commit", height=str(height))["result"]["signed_header"]["header"]["time"]
    validators = comet(home, "validators", height=str(height))["result"]["validators"]
    place = [validator["address"] for validator in validators].index(key["address"])

    def vote(byte):
        block = bytes([byte]) * 32
        block_id = field(1, block) + field(2, b"\x08\x01" + field(2, block))
        message = (b"\x08\x01\x11" + height.to_bytes(8, "little") + field(4, block_id) + field(5, timestamp(time))
                   + field(6, chain_id.encode()))
        name = block.hex().upper()
        return {"type": 1, "height": str(height), "round": 0, "timestamp": time, "validator_address": key["address"],
                "block_id": {"hash": name, "parts": {"total": 1, "hash": name}}, "validator_index": place,
                "signature": base64.b64encode(sign(seed, varint(len(message)) + message)).decode(),
                "extension": None, "extension_signature": None}
    total = sum(int(validator["voting_power"]) for validator in validators)
    return {"type": "tendermint/DuplicateVoteEvidence",
            "value": {"vote_a": vote(1), "vote_b": vote(2), "TotalVotingPower": str(total),
                      "ValidatorPower": validators[place]["voting_power"], "Timestamp": time}}
