# SPDX-License-Identifier: MIT
"""test_channels.py - what the console shows of handles and channels."""
import re

from harness import boot, case, contains, main


@case("ipc counts handles and messages, and every module has its own handle")
def summary():
    with boot() as guest:
        text = "\n".join(guest.run("ipc"))
        shown = re.search(r"modules +(\d+)", text)
        loaded = len(re.findall(r"(?m)^(svc|drv|sched)_\w+ ", "\n".join(guest.run("lsmod"))))
        assert shown and int(shown[1]) == loaded and loaded, f"{text}: {loaded} modules are loaded"
        assert "handles: " in text and "channels: " in text, text


@case("chan lists channels, and takes no arguments")
def channels():
    with boot() as guest:
        text = "\n".join(guest.run("chan"))
        assert "there are no channels" in text or re.search(r"number +room +state", text), text
        contains(guest.run("chan 1"), "chan")
        contains(guest.run("help chan"), "owners: who has handles")


main()
