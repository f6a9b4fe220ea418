# SPDX-License-Identifier: MIT
"""test_operations.py - what messages, modules and their brokers can do is tried, and each way to refuse it.

Both lists are the tree's own: operations are the functions that the headers of ipc and orchestrator declare and the kernel's
exports, errors are those of err.def. An operation is called by a unit test, an export by a module that unit tests load; an
error is returned somewhere, and expected by a test.
"""
import glob
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from tap import ROOT, case, log, main  # noqa: E402

HEADERS = ["kernel/ipc/*.h", "kernel/orchestrator/*.h"]
# Of a room's own files, which its operations call.
INNER = ("channel_parts.h", "lane.h")
UNIT = ["tests/unit/*.c", "tests/unit/*.h"]
MODULES = ["tests/fixtures/modules/*.c", "tests/fixtures/modules/*.h", "modules/*/*.c", "modules/*/*.h"]
RETURNS = ["kernel/*/*.[chS]", "kernel/arch/x86_64/*.[chS]", "modloader/*.[ch]", "modules/*/*.[ch]"]

# Steps of a load, a swap, a tick, which only their engine takes: the test that needs each, which is there.
STEPS = {
    "hx_callbacks_claim_all": "callbacks, a_key_keeps_its_kind",
    "hx_callbacks_restore": "callbacks, tasks_that_were_killed_on_probation_are_back_after_the_revert",
    "hx_callbacks_disarm": "callbacks, nothing_is_left_of_an_unloaded_module",
    "hx_callbacks_forsake": "declared, who_waits_for_a_late_reply_is_told_of_a_revert",
    "hx_callbacks_release_others": "callbacks, what_is_missing_waits_until_the_commit",
    "hx_declared_claim_all": "declared, a_load_that_runs_out_of_memory_leaves_nothing",
    "hx_declared_bind": "declared, no_event_is_lost_in_a_swap",
    "hx_declared_replay": "deferred, requests_to_a_closed_module_are_kept_until_it_opens",
    "hx_declared_restore": "callbacks, a_task_that_ended_on_probation_is_back_after_the_revert",
    "hx_declared_disarm": "callbacks, nothing_is_left_of_an_unloaded_module",
    "hx_declared_forsake": "declared, who_waits_for_a_late_reply_is_told_of_a_revert",
    "hx_declared_release_others": "declared, a_channel_keeps_its_capacity",
    "hx_capability_add_default_policies": "module_capability, the_kernels_own_devices_are_refused_with_the_reason",
    "hx_capability_is_asked_for": "module_capability, the_owner_may_grant_what_a_module_asks_for_and_nothing_else",
    "hx_capability_admit": "module_capability, a_module_holds_what_it_declares_and_loses_it_with_its_end",
    "hx_capability_line_refusal": "module_capability, a_line_without_a_capability_is_not_claimed",
    "hx_capability_check_calling": "module_capability, a_port_is_checked_each_time_it_is_used",
    "hx_capability_check_path_calling": "module_capability, each_export_needs_what_its_line_says",
    "hx_callbacks_stop_timers": "pause, a_timer_keeps_what_is_left_of_its_time",
    "hx_callbacks_continue_timers": "pause, a_timer_keeps_what_is_left_of_its_time",
    "hx_lifecycle_pause": "pause, tasks_and_timers_stand_still_and_go_on",
    "hx_lifecycle_resume": "pause, tasks_and_timers_stand_still_and_go_on",
    "hx_lifecycle_stop": "pause, an_unload_of_a_paused_module_calls_its_hooks_and_leaves_nothing",
    "hx_lifecycle_users": "pause, users_are_named",
    "hx_capability_look": "module_capability, registers_of_a_device_are_mapped_while_that_is_allowed",
    "hx_capability_look_path": "module_capability, a_subscription_is_a_request_and_ends_with_what_it_gave",
    "hx_capability_find": "module_capability, a_module_derives_from_what_it_holds_and_ends_it",
    "hx_capability_end": "module_capability, a_capability_goes_with_a_message",
    "hx_capability_carry": "module_capability, a_capability_goes_with_a_message",
    "hx_capability_tell": "broker, what_happens_is_told",
    "hx_channel_bind_capabilities": "module_capability, a_capability_goes_with_a_message",
    "hx_ipc_clone_by": "module_capability, a_connection_ends_with_the_capability_that_let_it_be_made",
    "hx_grant_make_device": "module_capability, registers_of_a_device_are_mapped_while_that_is_allowed",
    "hx_grant_check_devices": "module_capability, registers_of_a_device_are_mapped_while_that_is_allowed",
    "hx_router_name": "module_capability, a_service_is_asked_only_while_that_is_allowed",
    "hx_handle_bind_memory": "resource, who_makes_a_grant_or_a_channel_pays_for_its_memory",
    "hx_handle_open_for": "resource, who_makes_a_grant_or_a_channel_pays_for_its_memory",
    "hx_handle_settle": "resource, what_is_on_its_way_when_its_sender_ends_is_nobodys_until_it_is_received",
    "hx_resource_pay": "resource, who_receives_a_grant_pays_for_it_from_then_on",
    "hx_lifecycle_publish": "swap, rollback_restores_the_state_of_the_swap",
    "hx_resource_open": "resource, a_module_pays_for_its_image_until_it_goes",
    "hx_resource_admit": "resource, a_load_over_its_quota_is_refused_and_says_how_much_it_takes",
    "hx_resource_settle": "resource, a_module_pays_for_its_image_until_it_goes",
    "hx_resource_tick": "resource, ticks_in_a_modules_code_are_the_modules_unless_a_task_of_somebodys_is_there",
    "hx_resource_task_ran": "resource, a_task_over_its_owners_quota_gets_its_share_and_others_the_rest",
}
# Operation or error: why it has no test.
ALLOWED = {}

NOT_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)
DECLARED = re.compile(r"^(?!typedef|#|\s|struct \w+ \{|enum|union|static const)[^;{}()=]*?(?:__attribute__\(\(.*?\)\)\s*)?"
                      r"[^;{}()=]*?\b(hx_[a-z0-9_]+)\(", re.MULTILINE)
EXPORTED = re.compile(r"\bHX_EXPORT\((hx_\w+)")
EXPECTED = re.compile(r"\b(?:cr_assert\w*|cr_expect\w*|expect\w*|\w*refuse\w*|BROKEN|REFUSED)\s*\(")


def code(*patterns):
    """{path: text} without comments and literals."""
    found = {}
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(ROOT, pattern))):
            with open(path, encoding="utf-8") as file:
                found[os.path.relpath(path, ROOT)] = NOT_CODE.sub(" ", file.read())
    assert found, patterns
    return found


def operations():
    """{name: header}"""
    return {name: path for path, text in code(*HEADERS).items() if not path.endswith(INNER)
            for name in DECLARED.findall(text)}


def exports():
    return EXPORTED.findall(code("include/helix/kernel.h")["include/helix/kernel.h"])


def errors():
    with open(os.path.join(ROOT, "include/helix/err.def"), encoding="utf-8") as file:
        return ["HX_E_" + name for name in re.findall(r"^HX_ERR\((\w+)", file.read(), re.MULTILINE)]


def expect_all(names, found, what):
    missing = [name for name in names if name not in ALLOWED and not found(name)]
    needless = [name for name in names if name in ALLOWED and found(name)]
    log(f"{len(names)} {what}")
    assert not missing, f"{what}, not so: " + ", ".join(missing)
    assert not needless, "allowed to be missing, and there: " + ", ".join(needless)


def contains_call(text, name):
    return re.search(rf"\b{name}\s*\(", text)


def contains_test(text, test):
    return test and re.search(rf"\bTest\({test}\b", text)


@case("each operation of ipc and orchestrator is called by a unit test")
def called():
    text = "\n".join(code(*UNIT).values())
    names = operations()
    assert len(names) > 80, names
    expect_all(names, lambda name: contains_call(text, name) or contains_test(text, STEPS.get(name)),
               "operations are called by a unit test")
    needless = [name for name in STEPS if name not in names or contains_call(text, name)]
    assert not needless, "no steps that only their engine takes: " + ", ".join(needless)


@case("each export is called by a module that tests load")
def called_by_modules():
    text = "\n".join(code(*MODULES).values())
    expect_all(exports(), lambda name: contains_call(text, name), "exports are called by a module")


def returned(text, name):
    """Whether it is more than compared with."""
    return re.search(rf"(?<!case )(?<![=!]= )\b{name}\b(?! [=!]=)", text)


@case("each error is returned by something")
def errors_are_returned():
    text = "\n".join(code(*RETURNS).values())
    expect_all(errors(), lambda name: returned(text, name), "errors are returned")


def expectations():
    """The names in each statement that expects something."""
    found = set()
    for text in code("tests/unit/*.c").values():
        for match in EXPECTED.finditer(text):
            statement = text[match.start():].split(";", 1)[0]
            found.update(re.findall(r"\bHX_E_\w+", statement))
    return found


@case("each error is expected by a unit test")
def errors_are_expected():
    found = expectations()
    expect_all(errors(), lambda name: name in found, "errors are expected by a unit test")


main()
