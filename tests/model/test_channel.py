# SPDX-License-Identifier: MIT
"""test_channel.py - a channel whose receivers are killed, over every interleaving; each known way to get it wrong is found."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from spin import holds, is_found  # noqa: E402
from tap import case, main  # noqa: E402

IN_A_CHANNEL = ("NO_RECHECK", "WAIT_UNLOCKED", "CLOSE_WAKES_NOBODY", "EMPTY_THEN_CLOSED", "CHECK_THEN_QUEUE")
COMING_BACK = ("KILL_LOSES", "MAIL_LOSES", "BACK_AND_KEPT", "BACK_TO_AN_HEIR", "BACK_LAST", "BACK_IF_ROOM",
               "BACK_PAST_WAITERS", "BACK_MAKES_ROOM")


@case("a channel loses, doubles and strands nothing, its receivers killed, and closed, at any moment", limit_s=900)
def channel():
    holds("channel.pml")


@case("each mistake in a channel is found", limit_s=600)
def channel_mistakes():
    for mistake in IN_A_CHANNEL:
        is_found("channel.pml", mistake)


@case("each mistake with what was handed to a killed receiver is found", limit_s=600)
def coming_back_mistakes():
    for mistake in COMING_BACK:
        is_found("channel.pml", mistake)


if __name__ == "__main__":
    main()
