#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""control_key.py [FILE] - the public Ed25519 key that signed modules are checked with, as C; without FILE, none.

FILE is what a person has: PEM as `openssl pkey -pubout' writes it, 64 hexadecimal digits, or the 32 bytes. A key that the
kernel would refuse every signature of is refused here, where somebody looks.
"""
import base64
import binascii
import re
import sys

KEY_BYTES = 32
PEM = re.compile(rb"-----BEGIN ([A-Z ]+)-----(.*?)-----END \1-----", re.S)
DER_HEAD = bytes.fromhex("302a300506032b6570032100")  # RFC 8410, section 4: the algorithm, then the key as a bit string
PRIME = 2**255 - 19
CURVE_D = -121665 * pow(121666, -1, PRIME) % PRIME


class Refusal(Exception):
    pass


def key_of_pem(label, body):
    if label != b"PUBLIC KEY":
        raise Refusal(f"it holds a {label.decode()}, not a PUBLIC KEY; `openssl pkey -in FILE -pubout' makes one of a "
                      "private key")
    try:
        der = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error as error:
        raise Refusal(f"its PEM is damaged: {error}; make it again") from error
    if not der.startswith(DER_HEAD) or len(der) != len(DER_HEAD) + KEY_BYTES:
        raise Refusal("its key is not one of Ed25519; `openssl genpkey -algorithm ed25519' makes one")
    return der[len(DER_HEAD):]


def key_of(content):
    """The 32 bytes."""
    pem = PEM.search(content)
    if pem:
        return key_of_pem(*pem.groups())
    if re.fullmatch(rb"\s*[0-9A-Fa-f]{64}\s*", content):
        return bytes.fromhex(content.decode())
    if len(content) == KEY_BYTES:
        return content
    raise Refusal(f"{len(content)} bytes that are no key; it has to be PEM, 64 hexadecimal digits or 32 bytes")


def check(key):
    """As kernel/lib/ed25519.c does: a point of the curve, properly encoded, whose order is not a divisor of 8."""
    number = int.from_bytes(key, "little")
    y = number & (1 << 255) - 1
    x_squared = (y * y - 1) * pow(CURVE_D * y * y + 1, -1, PRIME) % PRIME
    if y >= PRIME or pow(x_squared, (PRIME - 1) // 2, PRIME) == PRIME - 1:
        raise Refusal("its 32 bytes are not a point of the curve; make it again from the private key")
    # Of order 1 or 2: x = 0. Of 4: y = 0. Of 8: twice the point has y = 0, which is x^2 + y^2 over something.
    if x_squared * y * (x_squared + y * y) % PRIME == 0:
        raise Refusal("anybody can sign for its key, which has a small order; make another")


def c_text(key):
    lines = ["/* Made by control_key.py. */", "#include <main/control_key.h>", ""]
    if key is None:
        return "\n".join(lines + ["const uint8_t *const hx_control_key = NULL;", ""])
    rows = [", ".join(f"0x{byte:02x}" for byte in key[at:at + 16]) for at in range(0, KEY_BYTES, 16)]
    return "\n".join(lines + ["static const uint8_t key[] = {", *(f"    {row}," for row in rows), "};",
                              "const uint8_t *const hx_control_key = key;", ""])


def main():
    key = None
    if len(sys.argv) > 1:
        try:
            with open(sys.argv[1], "rb") as file:
                key = key_of(file.read())
            check(key)
        except (OSError, Refusal) as error:
            text = error.strerror if isinstance(error, OSError) else error
            sys.exit(f"control_key: {sys.argv[1]}: {text}")
    sys.stdout.write(c_text(key))


if __name__ == "__main__":
    main()
