# SPDX-License-Identifier: MIT
"""test_ipc.py - channel, router, swap and crash over every interleaving; and each known way to get them wrong must be found."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from spin import holds, is_found  # noqa: E402
from tap import case, main  # noqa: E402

ONE_EACH = ("SWAPS=1", "CRASHES=1")


@case("a channel loses, doubles and strands nothing, closed at any moment")
def channel():
    holds("channel.pml")


@case("a request ends once, and a service is whole, through swap and crash", limit_s=900)
def requests():
    holds("ipc.pml", *ONE_EACH)


@case("each mistake in a channel is found")
def channel_mistakes():
    for mistake in ("NO_RECHECK", "WAIT_UNLOCKED", "CLOSE_WAKES_NOBODY", "EMPTY_THEN_CLOSED", "CHECK_THEN_QUEUE"):
        is_found("channel.pml", mistake)


@case("each mistake in router, swap and recovery is found", limit_s=600)
def request_mistakes():
    for mistake in ("NO_DRAIN", "NO_FORSAKE", "REPEAT_ALL", "REPLY_AGAIN", "OPEN_FAULTED"):
        is_found("ipc.pml", mistake, *ONE_EACH)


if __name__ == "__main__":
    main()
