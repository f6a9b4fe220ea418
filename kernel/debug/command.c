/* SPDX-License-Identifier: MIT */
/*
 * command.c - see command.h.
 */
#include "command.h"

#include "console.h"
#include "line_editor.h"
#include "nearest.h"

#include <lib/err.h>
#include <lib/fmt.h>
#include <orchestrator/capability_broker.h>
#include <string.h>

/* ---- words ---------------------------------------------------------------------------------------------------------- */
static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Takes one word at *@from, writes it to *@to without its quotes; both move on. HX_E_FORMAT. */
static hx_status_t take_word(const char **from, char **to)
{
    const char *in = *from;
    char *out = *to;
    char quote = '\0';
    for (; *in && (quote || !is_blank(*in)); in++) {
        if (quote && *in == quote) {
            quote = '\0';
        } else if (!quote && (*in == '"' || *in == '\'')) {
            quote = *in;
        } else {
            if (quote == '"' && *in == '\\' && (in[1] == '"' || in[1] == '\\'))
                in++;
            *out++ = *in;
        }
    }
    *from = in;
    *to = out;
    return quote ? HX_E_FORMAT : HX_OK;
}

hx_ret_t hx_command_split(char *line, char **argv)
{
    const char *from = line;
    char *to = line; /* never past from: what is written is shorter than what was read */
    int argc = 0;
    for (;;) {
        while (is_blank(*from))
            from++;
        if (*from == '\0' || *from == '#')
            break;
        if (argc == HX_COMMAND_ARGS_MAX)
            return HX_E_LIMIT;
        argv[argc++] = to;
        hx_status_t err = take_word(&from, &to);
        if (err != HX_OK)
            return err;
        if (*from)
            from++;
        *to++ = '\0';
    }
    argv[argc] = NULL;
    return argc;
}

/* ---- the table ------------------------------------------------------------------------------------------------------ */
/* The family that @command lies in. */
static hx_command_table_t family_of(hx_command_table_t table, const struct hx_command *command)
{
    for (; *table; table++)
        for (const struct hx_command *c = *table; c->id.name; c++)
            if (c == command)
                return table;
    return NULL;
}

const struct hx_command *hx_command_next(hx_command_table_t table, const struct hx_command *command)
{
    if (command) {
        table = family_of(table, command);
        command++;
    }
    if (!command)
        command = *table;
    while (command && !command->id.name)
        command = *++table;
    return command;
}

const struct hx_command *hx_command_find(hx_command_table_t table, const char *name)
{
    const struct hx_command *command = NULL;
    while ((command = hx_command_next(table, command)))
        if (strcmp(command->id.name, name) == 0)
            return command;
    return NULL;
}

static hx_status_t refuse_unknown(hx_command_table_t table, const char *name)
{
    struct hx_nearest nearest;
    hx_nearest_init(&nearest, name);
    const struct hx_command *command = NULL;
    while ((command = hx_command_next(table, command)))
        hx_nearest_offer(&nearest, command->id.name);
    return hx_command_unknown(name, "command", NULL, hx_nearest_name(&nearest), "type help for the list");
}

static hx_status_t refuse_denied(const struct hx_command *command, hx_status_t err)
{
    char advice[96];
    const char *who = hx_console_sink()->principal->name;
    hx_fmt(advice, sizeof(advice), "the %s must hold a capability of type %s, see caps", who,
           hx_capability_type_name(command->id.needs));
    return hx_command_refuse(who, command->id.name, err, advice);
}

hx_status_t hx_command_run(hx_command_table_t table, char *line)
{
    char *argv[HX_COMMAND_ARGS_MAX + 1];
    hx_ret_t argc = hx_command_split(line, argv);
    if (argc == HX_E_FORMAT)
        hx_command_error(hx_console_sink()->principal->name, "line", "a quote is left open",
                         "close it with the same sign");
    else if (argc < 0)
        hx_command_error(hx_console_sink()->principal->name, "line", "it has too many words",
                         "quote what belongs together");
    if (argc <= 0)
        return (hx_status_t)argc;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        argv[1] = argv[0];
        argv[0] = "help";
    }
    const struct hx_command *command = hx_command_find(table, argv[0]);
    if (!command)
        return refuse_unknown(table, argv[0]);
    hx_status_t allowed = hx_capability_check(hx_console_sink()->principal, command->id.needs, 0, 0, 0);
    return allowed == HX_OK ? command->handler((int)argc, argv) : refuse_denied(command, allowed);
}

/* ---- completion ----------------------------------------------------------------------------------------------------- */
void hx_command_offer_names(hx_command_table_t table, struct hx_editor_matches *matches)
{
    const struct hx_command *command = NULL;
    while ((command = hx_command_next(table, command)))
        hx_editor_offer(matches, command->id.name);
}

static void offer_words(const char *words, struct hx_editor_matches *matches)
{
    char word[HX_NEAREST_NAME_MAX];
    while (*words) {
        size_t bytes = 0;
        while (words[bytes] && words[bytes] != ' ')
            bytes++;
        hx_fmt(word, sizeof(word), "%.*s", (int)bytes, words);
        hx_editor_offer(matches, word);
        words += bytes + (words[bytes] == ' ');
    }
}

void hx_command_complete(hx_command_table_t table, const char *line, size_t word_off, struct hx_editor_matches *matches)
{
    char before[HX_EDITOR_LINE_MAX + 1];
    char *argv[HX_COMMAND_ARGS_MAX + 1];
    hx_fmt(before, sizeof(before), "%.*s", (int)word_off, line);
    hx_ret_t position = hx_command_split(before, argv);
    if (position < 0)
        return;
    if (position == 0) {
        hx_command_offer_names(table, matches);
        return;
    }
    const struct hx_command *command = hx_command_find(table, argv[0]);
    if (command && command->words && position == 1)
        offer_words(command->words, matches);
    if (command && command->complete)
        command->complete((uint32_t)position, matches);
}

/* ---- what commands say ----------------------------------------------------------------------------------------------- */
void hx_command_error(const char *command, const char *what, const char *why, const char *advice)
{
    char text[400];
    hx_fmt(text, sizeof(text), "%s; %s", why, advice);
    hx_console_error(command, what[0] ? what : "''", text);
}

static const char *usual_advice(hx_ret_t err)
{
    switch (err) {
    case HX_E_NOMEM: return "free some with rmmod or kill, see mem";
    case HX_E_NOENT: return "look at what there is";
    case HX_E_EXIST: return "choose another name, or remove the old one first";
    case HX_E_BUSY:
    case HX_E_CLOSED:
    case HX_E_TIMEOUT: return "try again";
    case HX_E_FAULT: return "see dmesg for what became of it";
    case HX_E_FAILED: return "rmmod the module, then insmod a version that works, see dmesg";
    case HX_E_ABSENT: return "insmod a provider, see lsmod";
    case HX_E_FULL:
    case HX_E_LIMIT: return "make room first";
    case HX_E_UNSUPPORTED: return "reload a newer version of the module";
    default: return "see dmesg";
    }
}

hx_status_t hx_command_refuse(const char *command, const char *what, hx_ret_t err, const char *advice)
{
    char why[96]; /* tools look for the short name */
    hx_fmt(why, sizeof(why), "%s: %s", hx_err_name(err), hx_err_text(err));
    hx_command_error(command, what, why, advice ? advice : usual_advice(err));
    return (hx_status_t)err;
}

hx_status_t hx_command_unknown(const char *command, const char *kind, const char *name, const char *nearest,
                               const char *advice)
{
    char what[160], hint[160];
    hx_fmt(what, sizeof(what), name ? "%s" : "unknown %s", name ? name : kind);
    if (nearest)
        hx_fmt(hint, sizeof(hint), "did you mean `%s'? Else %s", nearest, advice);
    else
        hx_fmt(hint, sizeof(hint), "%s", advice);
    char why[64];
    hx_fmt(why, sizeof(why), "there is no such %s", kind);
    hx_command_error(command, what, why, hint);
    return HX_E_NOENT;
}

hx_status_t hx_command_usage(const char *name)
{
    char why[160], advice[80];
    const struct hx_command *command = hx_command_find(hx_command_table, name);
    hx_fmt(why, sizeof(why), "expected `%s%s%s'", name, command && command->arguments[0] ? " " : "",
           command ? command->arguments : "");
    hx_fmt(advice, sizeof(advice), "type help %s", name);
    hx_command_error(name, "arguments", why, advice);
    return HX_E_INVAL;
}

/* ---- numbers -------------------------------------------------------------------------------------------------------- */
static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

hx_status_t hx_command_number(const char *text, uint64_t max, uint64_t *out)
{
    bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    uint64_t base = is_hex ? 16 : 10, value = 0;
    text += is_hex ? 2 : 0;
    if (*text == '\0')
        return HX_E_INVAL;
    for (; *text; text++) {
        uint64_t digit = (uint64_t)digit_value(*text);
        if (digit >= base)
            return HX_E_INVAL;
        if (value > (UINT64_MAX - digit) / base)
            return HX_E_RANGE;
        value = value * base + digit;
    }
    if (value > max)
        return HX_E_RANGE;
    *out = value;
    return HX_OK;
}

/* ---- CPUs ----------------------------------------------------------------------------------------------------------- */
/* Digits at *@text, which moves on; a number that is too high stays so. HX_E_INVAL. */
static hx_status_t take_digits(const char **text, uint32_t *out)
{
    const char *at = *text;
    uint32_t value = 0;
    for (; *at >= '0' && *at <= '9'; at++)
        value = value < 1000 ? value * 10 + (uint32_t)(*at - '0') : value;
    bool none = at == *text;
    *text = at;
    *out = value;
    return none ? HX_E_INVAL : HX_OK;
}

/* "2" or "2-3" at *@text, which moves on. */
static hx_status_t take_cpus(const char **text, uint32_t count, uint32_t *cpus)
{
    uint32_t first = 0, last = 0;
    hx_status_t err = take_digits(text, &first);
    last = first;
    if (err == HX_OK && **text == '-') {
        (*text)++;
        err = take_digits(text, &last);
    }
    if (err != HX_OK || last < first)
        return HX_E_INVAL;
    if (last >= count)
        return HX_E_RANGE;
    for (uint32_t cpu = first; cpu <= last; cpu++)
        *cpus |= 1u << cpu;
    return HX_OK;
}

hx_status_t hx_command_cpus(const char *text, uint32_t count, uint32_t *out)
{
    uint32_t cpus = 0;
    if (strcmp(text, "all") == 0) {
        *out = UINT32_MAX;
        return HX_OK;
    }
    for (;; text++) {
        hx_status_t err = take_cpus(&text, count, &cpus);
        if (err != HX_OK)
            return err;
        if (*text != ',')
            break;
    }
    if (*text != '\0')
        return HX_E_INVAL;
    *out = cpus;
    return HX_OK;
}

void hx_command_cpus_text(uint32_t cpus, uint32_t count, char *out, size_t bytes)
{
    size_t used = 0;
    uint32_t left = cpus & ((1u << count) - 1);
    hx_fmt(out, bytes, "%s", left + 1 == 1u << count ? "all" : "none");
    for (uint32_t cpu = 0; cpu < count && left + 1 != 1u << count; cpu++) {
        if (!(left & 1u << cpu))
            continue;
        uint32_t last = cpu;
        while (left & 1u << (last + 1))
            last++;
        used = hx_fmt_append(out, bytes, used, used ? ",%u" : "%u", cpu);
        if (last > cpu)
            used = hx_fmt_append(out, bytes, used, "-%u", last);
        cpu = last;
    }
}
