# SPDX-License-Identifier: MIT
"""test_control.py - the control channel of a booted kernel: commands, files, damage, and who may push."""
import os
import random
import shutil
import struct
import time

from harness import boot, built, case, contains, counted, equal, log, main, mkmodpack, scratch
from peer import (ACK, CANCEL, DAMAGED, DATA, END, EXEC, HELLO, OUTPUT, PAYLOAD_MAX, PUSH, QUERY, Peer, connected, frame,
                  push_payload)
from views import shipped


def module(name):
    with open(shipped(name), "rb") as file:
        return file.read()


def heap(guest):
    """What `mem' says of the heap."""
    return guest.run("mem")[0].split("heap ")[1].split(", images")[0]


@case("hello is answered, commands print, queries give rows, and an unknown command says so", limit_s=300)
def commands():
    with connected() as (guest, peer):
        equal((peer.introduction["status"], peer.introduction["protocol"]), (0, 1), "introduction")
        contains(guest.run("version"), "helix " + peer.introduction["version"])
        end, lines = peer.run("lsmod")
        equal(end["status"], 0, "lsmod")
        equal([line.split()[:3] for line in lines], [line.split()[:3] for line in guest.run("lsmod")], "on both lines")
        end, rows = peer.query("lsmod")
        equal([row["name"] for row in rows], [line.split()[0] for line in lines[1:]], "names")
        equal({row["state"] for row in rows}, {"Running"}, "states")
        end, _ = peer.run("relaod svc_kv")
        equal((end["status"], end["error"]), (-3, "not-found"), "unknown")
        contains([end["text"]], "did you mean `reload'?")
        for command in ("ps", "events -n 3", "dmesg", "irq", "timers", "sched", "chan", "topics", "caps", "res", "modinfo",
                        "services"):
            end, rows = peer.query(command)
            equal(end["status"], 0, command)
            assert rows and not any(list(row) == ["text"] for row in rows), (command, rows)
        assert all(isinstance(row["run_ns"], int) for row in peer.query("ps")[1])
        equal(peer.damaged, [], "damage")


@case("a changed version is pushed and reloaded, state kept; it lives on when its file has another's name", limit_s=300)
def push():
    with connected("probation_ms=100") as (guest, peer):
        guest.run("kv put key value")
        equal(peer.push("svc_kv.hxm", module("svc_kv-2"))["status"], 0, "push")
        end, lines = peer.run("reload svc_kv svc_kv.hxm")
        contains(lines, "reload: svc_kv 1.0.0 -> 2.0.0")
        equal(guest.run("kv get key"), ["value"], "the state")
        (row,) = peer.query("swaps")[1]
        equal((row["who"], row["new_version"]), ("control", "2.0.0"), "the record")
        inside = sum(row[f"{phase}_ns"] for phase in ("drain", "save", "load", "publish"))
        assert 0 < inside <= row["blackout_ns"], row
        assert row["link_ns"] + row["admit_ns"] + row["init_ns"] + row["reserve_ns"] + inside <= row["total_ns"], row
        guest.wait(lambda: peer.query("swaps")[1][0]["decided_ns"] > row["open_ns"], 60, "the end of probation")
        equal(peer.push("svc_kv.hxm", b"no module")["status"], 0, "push of what replaces it")
        contains(guest.run("restart svc_kv"), "2.0.0")
        contains(peer.run("sym kv_find")[1], "svc_kv 2.0.0")
        end, _ = peer.run("reload svc_kv svc_kv.hxm")
        equal(end["error"], "truncated", "what is no module")
        equal(guest.run("kv get key"), ["value"], "what it kept in its record")


@case("console and channel run commands at the same time", limit_s=300)
def together():
    with connected() as (guest, peer):
        number = peer.begin(EXEC, b"reload sched_rr sched_rr.hxm --repeat 30")
        lines = guest.run("reload svc_kv svc_kv.hxm --repeat 30")
        contains(lines, "reload: 30 swaps")
        end, said = peer.finish(number)
        equal(end["status"], 0, "the channel's")
        contains(said.decode().splitlines(), "reload: 30 swaps")
        number = peer.begin(QUERY, b"dmesg -f")
        contains(guest.run("dmesg"), "helix ")
        peer.send(frame(peer.number + 1, EXEC, b"version"))
        peer.number += 1
        time.sleep(0.5)
        peer.send(frame(number, CANCEL))
        seen = {}
        while number not in seen:
            request, kind, payload = peer.next()
            if kind == END:
                seen[request] = payload
        contains([seen[peer.number].decode()], '"busy"')
        equal(peer.run("version")[0]["status"], 0, "afterwards")


@case("during a push other requests are busy, and what a command says after HELLO is dropped", limit_s=300)
def one_at_a_time():
    content = module("svc_kv-2")
    with connected() as (_, peer):
        push_number = peer.begin(PUSH, push_payload("svc_kv.hxm", content))
        peer.send(frame(push_number, DATA, bytes(4) + content[:100]))
        equal(peer.next(), (push_number, ACK, struct.pack("<I", 100)), "the first bytes")
        for kind, payload in ((EXEC, b"version"), (QUERY, b"lsmod"), (PUSH, push_payload("other.hxm", content))):
            equal(peer.finish(peer.begin(kind, payload))[0]["error"], "busy", kind)
        for at in range(100, len(content), PAYLOAD_MAX - 4):
            peer.send(frame(push_number, DATA, struct.pack("<I", at) + content[at:at + PAYLOAD_MAX - 4]))
            equal(peer.next()[:2], (push_number, ACK), f"at {at}")
        equal(peer.finish(push_number)[0]["status"], 0, "the push")
        number = peer.begin(EXEC, b"dmesg -f")
        while peer.next()[:2] != (number, OUTPUT):
            pass
        hello = peer.begin(HELLO)
        while True:  # what was under way before the kernel has read it
            request, kind, payload = peer.next()
            assert (request, kind) in ((number, OUTPUT), (hello, END)), (request, kind, payload)
            if kind == END:
                break
        equal(peer.run("insmod svc_echo.hxm")[1], ["insmod: loaded svc_echo 1.0.0"], "alone, though the log has more")
        equal(peer.run("lsmod")[0]["status"], 0, "and no end of what was given up")


@case("damaged and hostile bytes are skipped and told, and what is whole behind them is obeyed", limit_s=300)
def hostile():
    rounds = counted(20, 200)
    with connected() as (guest, peer):
        before = heap(guest)
        dice = random.Random(7)
        for i in range(rounds):
            whole = frame(1000 + i, dice.choice((EXEC, PUSH, DATA, 99)), dice.randbytes(dice.randrange(200)))
            damage = bytearray(whole)
            damage[dice.randrange(len(damage))] ^= 1 << dice.randrange(8)
            peer.send(dice.choice((dice.randbytes(dice.randrange(1, 3000)), whole[:dice.randrange(1, len(whole))],
                                   bytes(damage), b"HXC1" * dice.randrange(1, 300))))
            # What the garbage has swallowed comes out when the line is silent.
            number = peer.begin(HELLO)
            while True:
                request, kind, payload = peer.next()
                if kind == DAMAGED:
                    peer.damaged.append(payload)
                if (request, kind) == (number, END):
                    break
        assert rounds // 2 <= len(peer.damaged) <= 2 * rounds, len(peer.damaged)
        equal(peer.run("version")[0]["status"], 0, "a command")
        equal(heap(guest), before, "the heap")


@case("a push that is cut anywhere leaves everything as it was, also for who connects next", limit_s=300)
def cut():
    content = module("svc_kv-2")
    with connected() as (guest, peer):
        before = heap(guest)
        line = frame(1, PUSH, push_payload("svc_kv.hxm", content))
        for at in range(0, len(content), PAYLOAD_MAX - 4):
            line += frame(1, DATA, struct.pack("<I", at) + content[at:at + PAYLOAD_MAX - 4])
        dice = random.Random(8)
        for end in sorted(dice.sample(range(1, len(line)), counted(8, 60))):
            peer.send(line[:end])
            peer.close()
            peer = Peer(peer.path, guest)
            number = peer.begin(HELLO)
            while peer.next()[:2] != (number, END):
                pass
            equal(heap(guest), before, f"the heap after a push cut at {end}")
            contains(peer.run("modinfo svc_kv.hxm")[1], "svc_kv 1.0.0")
        end = peer.push("svc_kv.hxm", content, crc=1)
        equal(end["error"], "checksum", "a wrong checksum")
        equal(heap(guest), before, "the heap")


@case("control=off leaves the line alone, a word that is none too, and without the line the log says so once", limit_s=300)
def off():
    for option in ("off", "sined"):
        with scratch() as folder, boot(cmdline=f"control={option}", control=os.path.join(folder, "control")) as guest:
            peer = Peer(os.path.join(folder, "control"), guest)
            peer.begin(HELLO)
            try:
                raise AssertionError(peer.next(2))
            except TimeoutError:
                pass
            assert not any("control" in line.split() for line in guest.run("ps")), "a task"
    with boot() as guest:
        equal(sum("no control channel" in line for line in guest.run("dmesg")), 1, "lines about it")


@case("control=signed takes what the key built in has signed, and nothing when there is none", limit_s=300)
def signed():
    with connected("control=signed") as (_, peer):
        equal(peer.push("svc_kv.hxm", module("svc_kv"))["error"], "disabled", "without a key")
        equal(peer.run("reload svc_kv svc_kv.hxm")[0]["status"], 0, "commands are not concerned")
    key = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures", "keys", "control.pem")
    with scratch() as folder:
        path = os.path.join(folder, "svc_kv-2.hxm")
        shutil.copy(shipped("svc_kv-2"), path)
        status, out, err = mkmodpack("sign", "--key", key, path)
        equal(status, 0, out + err)
        with open(path + ".sig", "rb") as file:
            signature = file.read()
    with connected("control=signed", kernel=built("kernel", "helix-signed.bin")) as (_, peer):
        equal(peer.push("svc_kv.hxm", module("svc_kv-2"))["error"], "denied", "unsigned")
        equal(peer.push("svc_kv.hxm", module("svc_kv"), signature=signature)["error"], "denied", "another's signature")
        equal(peer.push("svc_kv.hxm", module("svc_kv-2"), signature=signature)["status"], 0, "signed")
        contains(peer.run("reload svc_kv svc_kv.hxm")[1], "2.0.0")


@case("files and texts go over the line at some speed, which is told", limit_s=300)
def speed():
    content = random.Random(9).randbytes(200000)
    with connected() as (_, peer):
        frames = [frame(77, DATA, struct.pack("<I", at) + content[at:at + PAYLOAD_MAX - 4])
                  for at in range(0, len(content), PAYLOAD_MAX - 4)]
        head = frame(77, PUSH, push_payload("large.hxm", content))
        began, sent, answered = time.monotonic(), 0, 0
        peer.send(head)
        while answered < len(frames):
            while sent < len(frames) and sent - answered < 4:
                peer.send(frames[sent])
                sent += 1
            kind = peer.next()[1]
            answered += kind == ACK
            assert kind == ACK, kind
        equal(peer.next()[1], END, "the end")
        log(f"to the kernel: {len(content) / 1024 / (time.monotonic() - began):.0f} KB/s")
        began, count = time.monotonic(), 0
        for _ in range(10):
            count += len("\n".join(peer.run("help")[1]))
        log(f"from the kernel: {count / 1024 / (time.monotonic() - began):.0f} KB/s")


@case("a command that ends the machine is answered first", limit_s=300)
def last():
    with scratch() as folder:
        path = os.path.join(folder, "control")
        with boot(control=path) as guest:
            peer = Peer(path, guest)
            peer.hello()
            number = peer.begin(EXEC, b"poweroff 7")
            equal(peer.next()[:2], (number, END), "the answer")
            equal(guest.wait_end(60), 7, "the machine's end")


if __name__ == "__main__":
    main()
