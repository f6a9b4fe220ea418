/* SPDX-License-Identifier: MIT */
/* view.c - see view.h. */
#include "view.h"

#include "interrupt.h"
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

void hx_ctl_text_add(void *text, const char *data, size_t bytes)
{
    struct hx_ctl_text *to = text;
    char *larger = realloc(to->text, to->bytes + bytes + 1);

    if (!larger)
        abort(); /* a few kilobytes */
    memcpy(larger + to->bytes, data, bytes);
    to->text = larger;
    to->bytes += bytes;
    to->text[to->bytes] = '\0';
}

struct output {
    bool heading; /* nothing has been written yet */
    bool rows;
};

static void print(void *context, const char *data, size_t bytes)
{
    struct output *output = context;

    hx_ctl_print_text(stdout, data, bytes, output->heading && !output->rows);
    output->heading = false;
    /* Who reads on has it at once; who reads no more ends this. */
    if (fflush(stdout) != 0)
        (void)raise(SIGTERM);
}

enum hx_ctl_exit hx_ctl_view(struct hx_ctl_peer *peer, const char *command, bool endless)
{
    struct output output = { .heading = true, .rows = peer->options->json };
    struct hx_ctl_ask ask = { .kind = output.rows ? HX_CONTROL_QUERY : HX_CONTROL_EXEC,
                              .command = command,
                              .repeatable = !endless,
                              .endless = endless,
                              .take = print,
                              .context = &output };
    struct hx_ctl_answer answer;
    enum hx_ctl_exit status = HX_CTL_ABSENT;

    if (endless)
        hx_ctl_interrupt_needs_reader();
    status = hx_ctl_peer_ask(peer, &ask, &answer);
    if (status == HX_CTL_REFUSED && answer.end)
        hx_ctl_peer_complain(command, &answer);
    hx_ctl_answer_free(&answer);
    return status;
}

json_t *hx_ctl_rows_parse(const char *text, size_t bytes, unsigned int *out_line)
{
    json_t *rows = json_array();
    const char *end = text + bytes;

    *out_line = 0;
    while (text < end) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((line_end ? line_end : end) - text);
        json_t *row = json_loadb(text, length, 0, NULL);

        ++*out_line;
        if (!json_is_object(row)) {
            json_decref(row);
            json_decref(rows);
            return NULL;
        }
        json_array_append_new(rows, row);
        text += length + (line_end != NULL);
    }
    return rows;
}

enum hx_ctl_exit hx_ctl_rows(struct hx_ctl_peer *peer, const char *command, json_t **out)
{
    struct hx_ctl_text text = { 0 };
    struct hx_ctl_ask ask = {
        .kind = HX_CONTROL_QUERY, .command = command, .repeatable = true, .take = hx_ctl_text_add, .context = &text
    };
    struct hx_ctl_answer answer;
    unsigned int line = 0;
    enum hx_ctl_exit status = hx_ctl_peer_ask(peer, &ask, &answer);

    *out = NULL;
    if (status == HX_CTL_REFUSED && answer.end)
        hx_ctl_peer_complain(command, &answer);
    if (status == HX_CTL_OK && !(*out = hx_ctl_rows_parse(text.text ? text.text : "", text.bytes, &line))) {
        hx_ctl_complain("%s: row %u of the kernel's is no JSON object; helixctl and kernel do not fit each other",
                        command, line);
        status = HX_CTL_REFUSED;
    }
    hx_ctl_answer_free(&answer);
    free(text.text);
    return status;
}
