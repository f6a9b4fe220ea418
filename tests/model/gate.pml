/* SPDX-License-Identifier: MIT */
/*
 * gate.pml - counting and draining, as kernel/arch/x86_64/gate.S and kernel/gate/gate.c do it, for every interleaving.
 *
 * Claim: when a drain has found as many calls left as entered, no caller is inside the version that was closed, and none
 * comes in later. Callers are preempted and moved to another CPU between any two instructions; stores wait in their CPU's
 * buffer until it drains (TSO).
 *
 * Each of these, defined, is a mistake that must be found:
 *   ENTERED_AFTER_LOAD   a caller loads the vtable before it bumps `entered`
 *   ENTERED_FIRST        the drain sums `entered` before `left`
 *   NO_SYNC              the drain does not wait for every CPU to acknowledge an interrupt after the close
 *   ONE_COUNTER          one up-down counter a CPU instead of two
 */
#define CPUS 2
#define CALLERS 2
#ifndef CALLS
#define CALLS 2 /* of each caller */
#endif
#define SWAPS 2
#define CLOSED 255

byte vtable = 0;      /* version that is published, or CLOSED */
byte entered[CPUS];   /* in memory, as other CPUs see them */
byte left[CPUS];
byte inside = 0;      /* callers between loading an open vtable and the return of the operation */
bool gone[SWAPS + 1]; /* versions whose memory has been given back */

/* A CPU's store buffer: first in, first out. Only the CPU itself writes its counters, so an entry says which to bump. */
mtype = { ENTERED, LEFT };
chan buffer[CPUS] = [3] of { mtype };

active [CPUS] proctype memory()
{
end:
    do
    :: atomic { buffer[_pid]?ENTERED -> entered[_pid]++ }
#ifdef ONE_COUNTER
    :: atomic { buffer[_pid]?LEFT -> entered[_pid]-- }
#else
    :: atomic { buffer[_pid]?LEFT -> left[_pid]++ }
#endif
    od
}

/*
 * The task may be preempted here and go on on the other CPU. That one learns of it by a store behind all that the task
 * has stored on this one, so those are in memory by then.
 */
inline may_migrate()
{
    if
    :: skip
    :: atomic { empty(buffer[cpu]) -> cpu = 1 - cpu }
    fi
}

/* Loading an open vtable is what makes a caller one that a drain must see. */
inline load()
{
    atomic {
        version = vtable;
        if
        :: version != CLOSED -> inside++
        :: else -> skip
        fi
    }
}

proctype caller(byte cpu)
{
    byte version;
    byte calls = 0;

    do
    :: calls == CALLS -> break
    :: else ->
top:
#ifdef ENTERED_AFTER_LOAD
        load();
        may_migrate();
        buffer[cpu]!ENTERED;
#else
        buffer[cpu]!ENTERED;
        may_migrate();
        load();
#endif
        may_migrate();
        if
        :: version == CLOSED ->
            /* the closed stub: out again, wait, from the top */
            buffer[cpu]!LEFT;
            may_migrate();
            vtable != CLOSED;
            goto top
        :: else ->
            assert(!gone[version]);
            may_migrate();
            assert(!gone[version]);
            inside--;
            may_migrate();
            buffer[cpu]!LEFT;
            calls++
        fi
    od
}

/* One load at a time, callers running on in between. */
#define SUM(counter, out) out = counter[0]; out = out + counter[1]

proctype closer()
{
    byte swaps = 0;
    byte sum_left, sum_entered;

    do
    :: swaps == SWAPS -> break
    :: else ->
        vtable = CLOSED; /* and a fence: in memory at once */
#ifndef NO_SYNC
        empty(buffer[0]); /* an interrupt's acknowledgement: what the CPU has stored is in memory */
        empty(buffer[1]);
#endif
        do
        ::
#ifdef ENTERED_FIRST
            SUM(entered, sum_entered);
            SUM(left, sum_left);
#else
            SUM(left, sum_left);
            SUM(entered, sum_entered);
#endif
            if
            :: sum_entered == sum_left -> break
            :: else -> skip
            fi
        od;
        assert(inside == 0);
        gone[swaps] = true;
        swaps++;
        vtable = swaps
    od
}

init
{
    atomic {
        run caller(0);
        run caller(1);
        run closer()
    }
}
