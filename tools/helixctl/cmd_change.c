/* SPDX-License-Identifier: MIT */
/* cmd_change.c - helixctl reload, rollback, exec: one command of the kernel's that may change something. */
#include "command.h"
#include "command_line.h"
#include "deploy.h"
#include "interrupt.h"
#include "terminal.h"

#include <stdlib.h>
#include <string.h>

/* The kernel's answer to @command, as --json says. */
static enum hx_ctl_exit change(const struct hx_ctl_options *options, const char *command)
{
    struct hx_ctl_peer peer;
    struct hx_ctl_text said = { 0 };
    json_t *end = NULL;
    enum hx_ctl_exit status = hx_ctl_peer_open(&peer, options, false);

    if (status == HX_CTL_OK)
        status = hx_ctl_change(&peer, command, &said, &end);
    if (options->json && end) {
        json_object_set_new(end, "output", json_string(said.text ? said.text : ""));
        hx_ctl_print_json(json_incref(end));
    } else if (status == HX_CTL_OK && !options->quiet && said.text) {
        hx_ctl_print_text(stdout, said.text, said.bytes, false);
    }
    json_decref(end);
    free(said.text);
    hx_ctl_peer_close(&peer);
    return status;
}

enum { WORDS_MAX = 32 };
struct words {
    const char *word[WORDS_MAX];
    int count;
};

static bool add_word(struct words *words, const char *word)
{
    if (words->count == WORDS_MAX) {
        hx_ctl_complain("%s: more than %d words; the kernel takes no more", words->word[0], WORDS_MAX);
        return false;
    }
    words->word[words->count++] = word;
    return true;
}

static enum hx_ctl_exit change_by_words(const struct hx_ctl_options *options, const struct words *words)
{
    char command[HX_CONTROL_PAYLOAD_MAX + 1];

    return hx_ctl_command_line(command, sizeof(command), words->count, words->word) ? change(options, command)
                                                                                    : HX_CTL_REFUSED;
}

/* What is meant for the kernel goes on to it. */
int hx_ctl_cmd_reload(int argc, char **argv)
{
    static const struct option all[] = {
        HX_CTL_COMMON_OPTIONS,
        { "with", required_argument, NULL, 'w' },
        { NULL, 0, NULL, 0 },
    };
    struct hx_ctl_options options = { .command = "reload" };
    struct words words = { .word = { "reload" }, .count = 1 };
    enum hx_ctl_parse parse = HX_CTL_PARSE_OK;
    int c;

    while (parse == HX_CTL_PARSE_OK && (c = getopt_long(argc, argv, "c:jqt:hw:", all, NULL)) != -1) {
        if (c != 'w')
            parse = hx_ctl_take_option(&options, c);
        else if (!add_word(&words, "--with") || !add_word(&words, optarg))
            parse = HX_CTL_PARSE_WRONG;
    }
    if (parse == HX_CTL_PARSE_OK && !hx_ctl_count_fits(&options, argc - optind, 1, WORDS_MAX))
        parse = HX_CTL_PARSE_WRONG;
    if (parse != HX_CTL_PARSE_OK)
        return parse == HX_CTL_PARSE_HELP ? HX_CTL_OK : HX_CTL_USAGE;
    for (; optind < argc; optind++)
        if (!add_word(&words, argv[optind]))
            return HX_CTL_USAGE;
    return (int)change_by_words(&options, &words);
}

int hx_ctl_cmd_rollback(int argc, char **argv)
{
    struct hx_ctl_options options = { .command = "rollback" };
    enum hx_ctl_parse parse = hx_ctl_parse_plain(argc, argv, &options, 1, 1);

    if (parse != HX_CTL_PARSE_OK)
        return parse == HX_CTL_PARSE_HELP ? HX_CTL_OK : HX_CTL_USAGE;
    const struct words words = { .word = { "rollback", argv[optind] }, .count = 2 };
    return (int)change_by_words(&options, &words);
}

/* ---- exec -------------------------------------------------------------------------------------------------------------- */
static void print_now(void *context, const char *data, size_t bytes)
{
    bool *heading = context;

    hx_ctl_print_text(stdout, data, bytes, *heading);
    *heading = false;
    if (fflush(stdout) != 0)
        (void)raise(SIGTERM);
}

/* The words as they are, so that quotes in them are the kernel's. */
static char *joined(int argc, char **argv)
{
    struct hx_ctl_text text = { 0 };

    for (int i = optind; i < argc; i++) {
        if (i > optind)
            hx_ctl_text_add(&text, " ", 1);
        hx_ctl_text_add(&text, argv[i], strlen(argv[i]));
    }
    return text.text;
}

static enum hx_ctl_exit exec_command(const struct hx_ctl_options *options, const char *command)
{
    struct hx_ctl_peer peer;
    struct hx_ctl_answer answer = { 0 };
    bool heading = !options->json;
    struct hx_ctl_ask ask = { .kind = options->json ? HX_CONTROL_QUERY : HX_CONTROL_EXEC,
                              .command = command,
                              .endless = !options->timed,
                              .take = print_now,
                              .context = &heading };
    enum hx_ctl_exit status = hx_ctl_peer_open(&peer, options, false);

    if (status == HX_CTL_OK) {
        if (options->quiet)
            ask.take = NULL;
        status = hx_ctl_peer_ask(&peer, &ask, &answer);
        if (status == HX_CTL_REFUSED && answer.end)
            hx_ctl_peer_complain(command, &answer);
    }
    hx_ctl_answer_free(&answer);
    hx_ctl_peer_close(&peer);
    return status;
}

int hx_ctl_cmd_exec(int argc, char **argv)
{
    struct hx_ctl_options options = { .command = "exec" };
    enum hx_ctl_parse parse = hx_ctl_parse_plain(argc, argv, &options, 1, 1024);
    enum hx_ctl_exit status = HX_CTL_OK;

    if (parse != HX_CTL_PARSE_OK)
        return parse == HX_CTL_PARSE_HELP ? HX_CTL_OK : HX_CTL_USAGE;
    char *command = joined(argc, argv);
    status = exec_command(&options, command);
    free(command);
    return (int)status;
}
