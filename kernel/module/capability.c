/* SPDX-License-Identifier: MIT */
/* capability.c - see capability.h. */
#include "capability.h"

#include <lib/fmt.h>
#include <string.h>

enum { RWX = HX_CAPABILITY_READ | HX_CAPABILITY_WRITE | HX_CAPABILITY_EXECUTE, PORTS_LAST = 0xffff, LINES_LAST = 63 };

/* What a type has; the end of its range 0: none. */
static const struct {
    char name[9];
    char macro[16];
    uint8_t rights; /* one of which it must give */
    bool has_path;
    uint64_t last;
} kind[HX_CAPABILITY_TYPE_COUNT] = {
    [HX_CAPABILITY_NONE] = { .name = "none" },
    [HX_CAPABILITY_MEMORY] = { "memory", "HX_CAP_MEMORY", RWX, false, UINT64_MAX },
    [HX_CAPABILITY_IO_PORT] = { "ports", "HX_PORTS", 0, false, PORTS_LAST },
    [HX_CAPABILITY_INTERRUPT] = { "lines", "HX_IRQ", 0, false, LINES_LAST },
    [HX_CAPABILITY_FILE_SYSTEM] = { "files", "HX_CAP_FILES", HX_CAPABILITY_READ | HX_CAPABILITY_WRITE, true, 0 },
    [HX_CAPABILITY_NETWORK] = { "network", "HX_CAP_NETWORK", 0, false, PORTS_LAST },
    [HX_CAPABILITY_MODULES] = { "modules", "HX_CAP_MODULES", 0, false, 0 },
    [HX_CAPABILITY_SYSTEM] = { "system", "HX_CAP_SYSTEM", 0, false, 0 },
    [HX_CAPABILITY_DEBUG] = { "debug", "HX_CAP_DEBUG", 0, false, 0 },
    [HX_CAPABILITY_IPC] = { "ipc", "HX_CAP_IPC", 0, true, 0 },
    [HX_CAPABILITY_RESOURCE] = { "resource", "HX_CAP_RESOURCE", 0, true, 0 },
};

static uint32_t proper(uint32_t type)
{
    return type < HX_CAPABILITY_TYPE_COUNT ? type : HX_CAPABILITY_NONE;
}

const char *hx_capability_type_name(uint32_t type)
{
    return kind[proper(type)].name;
}

const char *hx_capability_type_macro(uint32_t type)
{
    return kind[proper(type)].macro;
}

/* ---- what is sound --------------------------------------------------------------------------------------------------- */

/* Its path is a name, or begins one: "" is all names. */
static bool has_names(uint32_t type)
{
    return type == HX_CAPABILITY_IPC || type == HX_CAPABILITY_RESOURCE;
}

static bool is_border(uint32_t type, char c)
{
    return c == '/' || (c == '.' && has_names(type));
}

/* Terminated, printable, without what would mean another path: "//", "/./", "/../", a border at the end. */
static bool path_is_proper(uint32_t type, const char path[HX_CAPABILITY_PATH_MAX])
{
    uint32_t i = 0, start = 0;
    for (; i < HX_CAPABILITY_PATH_MAX && path[i]; i++) {
        if (path[i] <= ' ' || path[i] > '~' || path[i] == ':')
            return false;
        if (!is_border(type, path[i]))
            continue;
        if (i == start && i > 0)
            return false;
        start = i + 1;
    }
    if (i == HX_CAPABILITY_PATH_MAX)
        return false;
    if (has_names(type))
        return i == 0 || (start < i && !is_border(type, path[0]));
    for (uint32_t at = 0; at < i; at++)
        if (path[at] == '/' && path[at + 1] == '.') {
            char second = path[at + 2];
            if (!second || second == '/' || (second == '.' && (!path[at + 3] || path[at + 3] == '/')))
                return false;
        }
    return path[0] == '/' && (i == 1 || start < i);
}

const char *hx_capability_fault(const struct hx_capability *what)
{
    uint32_t type = proper(what->type);
    uint32_t allowed = kind[type].rights | (uint32_t)HX_CAPABILITY_GRANT;
    if (type == HX_CAPABILITY_IPC)
        allowed |= HX_CAPABILITY_WRITE;
    if (type == HX_CAPABILITY_NONE)
        return "there is no such type";
    if (what->rights & ~allowed)
        return "its type has no such right";
    if (kind[type].rights && !(what->rights & kind[type].rights))
        return "it gives no right";
    if (what->first > what->last)
        return "it ends before it begins";
    if (what->last > kind[type].last)
        return kind[type].last ? "its end is out of range" : "its type has no range";
    if (kind[type].has_path)
        return path_is_proper(type, what->path) ? NULL : "its path is not proper";
    return what->path[0] ? "its type has no path" : NULL;
}

/* ---- what covers what ------------------------------------------------------------------------------------------------ */

bool hx_capability_path_covers(uint32_t type, const char *prefix, const char *path)
{
    size_t bytes = strlen(prefix);
    if (strncmp(prefix, path, bytes) != 0)
        return false;
    return !path[bytes] || bytes == 0 || is_border(type, path[bytes]) || is_border(type, prefix[bytes - 1]);
}

bool hx_capability_covers(const struct hx_capability *a, const struct hx_capability *b)
{
    return a->type == b->type && !(b->rights & ~a->rights) && a->first <= b->first && b->last <= a->last &&
           hx_capability_path_covers(a->type, a->path, b->path);
}

/* ---- as text --------------------------------------------------------------------------------------------------------- */

static const char letters[] = "rwxg";

void hx_capability_text(const struct hx_capability *what, char out[HX_CAPABILITY_TEXT_MAX])
{
    const char *number =
        what->type == HX_CAPABILITY_INTERRUPT || what->type == HX_CAPABILITY_NETWORK ? "%llu" : "0x%llx";
    size_t used = hx_fmt(out, HX_CAPABILITY_TEXT_MAX, "%s", hx_capability_type_name(what->type));
    if (kind[proper(what->type)].last) {
        used = hx_fmt_append(out, HX_CAPABILITY_TEXT_MAX, used, ":");
        used = hx_fmt_append(out, HX_CAPABILITY_TEXT_MAX, used, number, (unsigned long long)what->first);
        if (what->last != what->first) {
            used = hx_fmt_append(out, HX_CAPABILITY_TEXT_MAX, used, "-");
            used = hx_fmt_append(out, HX_CAPABILITY_TEXT_MAX, used, number, (unsigned long long)what->last);
        }
    }
    if (what->path[0] || (kind[proper(what->type)].has_path && what->rights))
        used = hx_fmt_append(out, HX_CAPABILITY_TEXT_MAX, used, ":%s", what->path);
    if (what->rights)
        used = hx_fmt_append(out, HX_CAPABILITY_TEXT_MAX, used, ":");
    for (uint32_t i = 0; letters[i]; i++)
        if (what->rights & 1u << i)
            used = hx_fmt_append(out, HX_CAPABILITY_TEXT_MAX, used, "%c", letters[i]);
}

/* A number at *@at, which moves on. */
static bool take_number(const char **at, uint64_t *out)
{
    bool is_hex = (*at)[0] == '0' && (*at)[1] == 'x';
    uint64_t base = is_hex ? 16 : 10, value = 0;
    const char *first = *at += is_hex ? 2 : 0;
    for (;; (*at)++) {
        char c = **at;
        uint64_t digit = c >= '0' && c <= '9'   ? (uint64_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a') + 10
                                                : 16;
        if (digit >= base)
            break;
        if (value > (UINT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
    *out = value;
    return *at != first;
}

/* "0x70-0x71" or "8" at *@at, which moves on. */
static bool take_range(const char **at, struct hx_capability *out)
{
    if (*(*at)++ != ':' || !take_number(at, &out->first))
        return false;
    out->last = out->first;
    if (**at != '-')
        return true;
    (*at)++;
    return take_number(at, &out->last);
}

static bool take_path(const char **at, struct hx_capability *out)
{
    if (**at != ':')
        return true;
    (*at)++;
    for (size_t bytes = 0; **at && **at != ':'; (*at)++) {
        if (bytes == HX_CAPABILITY_PATH_MAX - 1)
            return false;
        out->path[bytes++] = **at;
    }
    return true;
}

static bool take_rights(const char **at, struct hx_capability *out)
{
    if (**at != ':')
        return **at == '\0';
    for ((*at)++; **at; (*at)++) {
        uint32_t i = 0;
        while (letters[i] && letters[i] != **at)
            i++;
        if (!letters[i])
            return false;
        out->rights |= 1u << i;
    }
    return true;
}

static bool starts_with(const char *text, const char *name)
{
    size_t bytes = strlen(name);
    return strncmp(text, name, bytes) == 0 && (text[bytes] == '\0' || text[bytes] == ':');
}

hx_status_t hx_capability_parse(const char *text, struct hx_capability *out, const char **out_why)
{
    struct hx_capability what = { .type = HX_CAPABILITY_TYPE_COUNT - 1 };
    while (what.type && !starts_with(text, kind[what.type].name))
        what.type--;
    const char *at = text + strlen(kind[what.type].name);
    bool written = what.type && (!kind[what.type].last || take_range(&at, &what)) &&
                   (!kind[what.type].has_path || take_path(&at, &what)) && take_rights(&at, &what);
    *out_why = written ? hx_capability_fault(&what) : "it is not written as TYPE[:FIRST-LAST|:PATH][:RIGHTS]";
    if (*out_why)
        return HX_E_INVAL;
    *out = what;
    return HX_OK;
}
