/* SPDX-License-Identifier: MIT */
/* test_capability.c - capabilities as values: what is sound, what covers what, how they are written. */
#include "capability_world.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Test(capability, what_is_not_sound_is_found_out)
{
    const struct {
        struct hx_capability what;
        const char *fault;
    } rows[] = {
        { cap(HX_CAPABILITY_NONE, 0, 0, 0, ""), "no such type" },
        { cap(HX_CAPABILITY_TYPE_COUNT, 0, 0, 0, ""), "no such type" },
        { cap(UINT32_MAX, 0, 0, 0, ""), "no such type" },
        { cap(HX_CAPABILITY_IO_PORT, R, 1, 2, ""), "no such right" },
        { cap(HX_CAPABILITY_IO_PORT, 16, 1, 2, ""), "no such right" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R | X, 0, 0, "/a"), "no such right" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, G, 0, 0, "/a"), "gives no right" },
        { cap(HX_CAPABILITY_MEMORY, 0, 0, 5, ""), "gives no right" },
        { PORTS(2, 1), "ends before" },
        { cap(HX_CAPABILITY_MEMORY, R, 2, 1, ""), "ends before" },
        { PORTS(0, 0x10000), "out of range" },
        { cap(HX_CAPABILITY_INTERRUPT, 0, 0, 64, ""), "out of range" },
        { cap(HX_CAPABILITY_NETWORK, 0, 0, 0x10000, ""), "out of range" },
        { cap(HX_CAPABILITY_DEBUG, 0, 0, 1, ""), "no range" },
        { cap(HX_CAPABILITY_IPC, 0, 1, 1, "a"), "no range" },
        { cap(HX_CAPABILITY_DEBUG, 0, 0, 0, "a"), "no path" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, ""), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "etc"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/etc/"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/etc//a"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "//"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/etc/../a"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/.."), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/./a"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/a b"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/a:b"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/a\x7f"), "not proper" },
        { cap(HX_CAPABILITY_IPC, 0, 0, 0, "/a"), "not proper" },
        { cap(HX_CAPABILITY_IPC, 0, 0, 0, "a."), "not proper" },
        { cap(HX_CAPABILITY_IPC, 0, 0, 0, "a..b"), "not proper" },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/"), NULL },
        { cap(HX_CAPABILITY_FILE_SYSTEM, R | W | G, 0, 0, "/..a/.b/a.b"), NULL },
        { cap(HX_CAPABILITY_IPC, 0, 0, 0, ""), NULL },
        { cap(HX_CAPABILITY_IPC, 0, 0, 0, "hx.modules"), NULL },
        { cap(HX_CAPABILITY_MEMORY, X, 0, UINT64_MAX, ""), NULL },
        { PORTS(0, 0xffff), NULL },
        { cap(HX_CAPABILITY_INTERRUPT, 0, 63, 63, ""), NULL },
    };
    for (size_t i = 0; i < HX_ARRAY_SIZE(rows); i++) {
        const char *fault = hx_capability_fault(&rows[i].what);
        cr_assert_eq(!fault, !rows[i].fault, "row %zu: %s", i, fault ? fault : "sound");
        cr_assert(!fault || strstr(fault, rows[i].fault), "row %zu: %s", i, fault);
    }
    struct hx_capability open_end = cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/");
    memset(open_end.path + 1, 'a', sizeof(open_end.path) - 1);
    cr_assert_not_null(hx_capability_fault(&open_end));
}

Test(capability, a_path_covers_what_is_below_it_and_not_its_neighbours)
{
    const struct {
        uint32_t type;
        const char *prefix, *path;
        bool covers;
    } rows[] = {
        { HX_CAPABILITY_FILE_SYSTEM, "/etc", "/etc", true },
        { HX_CAPABILITY_FILE_SYSTEM, "/etc", "/etc/a", true },
        { HX_CAPABILITY_FILE_SYSTEM, "/etc", "/etcetera", false },
        { HX_CAPABILITY_FILE_SYSTEM, "/etc", "/et", false },
        { HX_CAPABILITY_FILE_SYSTEM, "/etc", "/etc.d", false },
        { HX_CAPABILITY_FILE_SYSTEM, "/", "/etc", true },
        { HX_CAPABILITY_FILE_SYSTEM, "/etc", "/", false },
        { HX_CAPABILITY_IPC, "svc_kv", "svc_kv.get", true },
        { HX_CAPABILITY_IPC, "svc_kv", "svc_kv/ch", true },
        { HX_CAPABILITY_IPC, "svc_kv", "svc_kv2", false },
        { HX_CAPABILITY_IPC, "", "anything", true },
        { HX_CAPABILITY_IPC, "hx.a", "hx.b", false },
    };
    for (size_t i = 0; i < HX_ARRAY_SIZE(rows); i++)
        cr_assert_eq(hx_capability_path_covers(rows[i].type, rows[i].prefix, rows[i].path), rows[i].covers, "row %zu",
                     i);
}

Test(capability, one_covers_another_by_type_rights_range_and_path)
{
    struct hx_capability a = cap(HX_CAPABILITY_MEMORY, R | W, 10, 20, ""), b = a;
    cr_assert(hx_capability_covers(&a, &b));
    b.rights = R | X;
    cr_assert_not(hx_capability_covers(&a, &b));
    b = cap(HX_CAPABILITY_MEMORY, R, 9, 20, "");
    cr_assert_not(hx_capability_covers(&a, &b));
    b = cap(HX_CAPABILITY_MEMORY, R, 10, 21, "");
    cr_assert_not(hx_capability_covers(&a, &b));
    b = cap(HX_CAPABILITY_IO_PORT, 0, 10, 20, "");
    cr_assert_not(hx_capability_covers(&a, &b));
    a = cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/a");
    b = cap(HX_CAPABILITY_FILE_SYSTEM, R, 0, 0, "/b");
    cr_assert_not(hx_capability_covers(&a, &b));
}

Test(capability, what_is_written_is_read_again)
{
    static const char *const texts[] = {
        "ports:0x70-0x71", "ports:0x70:g", "lines:8",       "memory:0x0-0xffffffffffffffff:rwx",
        "files:/etc:rw",   "files:/:rg",   "network:80-90", "modules",
        "system:g",        "debug",        "ipc",           "ipc:svc_echo:g",
        "ipc::g"
    };
    for (size_t i = 0; i < HX_ARRAY_SIZE(texts); i++) {
        struct hx_capability what;
        const char *why = NULL;
        char text[HX_CAPABILITY_TEXT_MAX];
        cr_assert_eq(hx_capability_parse(texts[i], &what, &why), HX_OK, "%s: %s", texts[i], why);
        hx_capability_text(&what, text);
        cr_assert_str_eq(text, texts[i]);
    }
    struct hx_capability long_one;
    const char *fault = NULL;
    char long_text[96] = "ipc:";
    memset(long_text + 4, 'a', HX_CAPABILITY_PATH_MAX - 1);
    cr_assert_eq(hx_capability_parse(long_text, &long_one, &fault), HX_OK, "%s", fault);
    cr_assert_eq(strlen(long_one.path), HX_CAPABILITY_PATH_MAX - 1);
    long_text[strlen(long_text)] = 'a';
    cr_assert_eq(hx_capability_parse(long_text, &long_one, &fault), HX_E_INVAL);
    struct hx_capability longest = cap(HX_CAPABILITY_FILE_SYSTEM, R | W | G, 0, 0, "/");
    memset(longest.path + 1, 'a', sizeof(longest.path) - 2);
    char text[HX_CAPABILITY_TEXT_MAX];
    hx_capability_text(&longest, text);
    cr_assert_str_eq(text + strlen(text) - 4, ":rwg");
}

Test(capability, what_is_not_written_so_is_refused)
{
    static const char *const texts[] = { "",
                                         "port:1",
                                         "none",
                                         "ports",
                                         "ports:",
                                         "ports:0x",
                                         "ports:1-",
                                         "ports:1-0",
                                         "ports:1:z",
                                         "ports:1;",
                                         "portsx:1",
                                         "modules:1",
                                         "debug:0",
                                         "files",
                                         "files:etc:r",
                                         "files:/etc",
                                         "lines:99999999999999999999",
                                         "lines:64",
                                         "ipc:a:g:g",
                                         "ipc:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
    for (size_t i = 0; i < HX_ARRAY_SIZE(texts); i++) {
        struct hx_capability what = { .type = 77 };
        const char *why = NULL;
        cr_assert_eq(hx_capability_parse(texts[i], &what, &why), HX_E_INVAL, "%s", texts[i]);
        cr_assert_not_null(why);
        cr_assert_eq(what.type, 77, "written on refusal");
    }
}
