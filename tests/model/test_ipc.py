# SPDX-License-Identifier: MIT
"""test_ipc.py - router, swap, crash and revocation over every interleaving; and each known way to get them wrong must be found."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from spin import holds, is_found  # noqa: E402
from tap import case, main  # noqa: E402

ONE_EACH = ("SWAPS=1", "CRASHES=1", "REVOKES=0")
IN_REQUESTS = ("NO_DRAIN", "NO_FORSAKE", "REPEAT_ALL", "REPLY_AGAIN", "OPEN_FAULTED")


@case("a request ends once, a service is whole, and a swap ends, with a crash at any step", limit_s=900)
def requests():
    holds("ipc.pml", *ONE_EACH)


@case("the same while its handle is taken from the service at any moment: nothing is sent by it afterwards", limit_s=900)
def revoking():
    holds("ipc.pml", "SWAPS=1", "CRASHES=0", "REVOKES=1")
    holds("ipc.pml", "SWAPS=0", "CRASHES=1", "REVOKES=1")


@case("each mistake in router, swap and recovery is found", limit_s=600)
def request_mistakes():
    for mistake in IN_REQUESTS:
        is_found("ipc.pml", mistake, *ONE_EACH)
    is_found("ipc.pml", "USE_REVOKED", "SWAPS=0", "CRASHES=0", "REVOKES=1")
    is_found("ipc.pml", "KEEP_PENDING", "SWAPS=2", "CRASHES=0", "REVOKES=0")


if __name__ == "__main__":
    main()
