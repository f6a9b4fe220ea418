/* SPDX-License-Identifier: MIT */
/*
 * console.c - see console.h: received bytes, the task, the prompt.
 *
 * Received bytes go from the interrupt to the task through a ring with one writer and one reader. A byte that follows a
 * loss carries a mark, so that exactly the line in which something is missing is refused instead of run.
 */
#include "console.h"

#include "command.h"
#include "line_editor.h"
#include "log.h"

#include <hal/hx_hal_entry.h>
#include <lib/fmt.h>
#include <orchestrator/capability_broker.h>
#include <stdatomic.h>
#include <string.h>
#include <task/task.h>

enum {
    RING_BYTES = 4096, /* a power of two */
    AFTER_LOSS = 0x100,
    KEY_INTERRUPT = 0x03,
    CONSOLE_PRIORITY = 255,
};

static struct hx_waitq arrivals = HX_WAITQ_INIT(arrivals); /* bytes come before there is a task */

static struct {
    uint16_t ring[RING_BYTES]; /* byte and mark */
    _Atomic uint32_t received; /* counts, written by the interrupt */
    _Atomic uint32_t read;     /* counts, written by the task */
    bool has_lost;             /* interrupt only: the next byte is to be marked */
    _Atomic uint64_t lost;
    _Atomic bool log_arrived;
    bool is_damaged; /* the line being typed lacks bytes */
    struct hx_editor editor;
} console;

/* ---- arrivals ------------------------------------------------------------------------------------------------------- */
void hx_entry_console_byte(uint8_t byte)
{
    if (byte == KEY_INTERRUPT)
        atomic_store_explicit(&hx_console_own_sink.interrupted, true, memory_order_relaxed);
    uint32_t received = atomic_load_explicit(&console.received, memory_order_relaxed);
    if (received - atomic_load_explicit(&console.read, memory_order_acquire) >= RING_BYTES) {
        atomic_fetch_add_explicit(&console.lost, 1, memory_order_relaxed);
        console.has_lost = true;
        return;
    }
    console.ring[received % RING_BYTES] = (uint16_t)(byte | (console.has_lost ? AFTER_LOSS : 0));
    console.has_lost = false;
    atomic_store_explicit(&console.received, received + 1, memory_order_release);
    hx_waitq_wake_one(&arrivals);
}

static void log_arrived(void)
{
    atomic_store_explicit(&console.log_arrived, true, memory_order_release);
    hx_waitq_wake_one(&arrivals);
}

static bool take_byte(uint16_t *out)
{
    uint32_t read = atomic_load_explicit(&console.read, memory_order_relaxed);
    if (read == atomic_load_explicit(&console.received, memory_order_acquire))
        return false;
    *out = console.ring[read % RING_BYTES];
    atomic_store_explicit(&console.read, read + 1, memory_order_release);
    return true;
}

static bool key_arrived(void)
{
    return atomic_load_explicit(&console.read, memory_order_relaxed) !=
           atomic_load_explicit(&console.received, memory_order_acquire);
}

static bool something_arrived(void *unused)
{
    (void)unused;
    return atomic_load_explicit(&console.log_arrived, memory_order_acquire) || key_arrived();
}

bool hx_console_interrupted(void)
{
    struct hx_sink *sink = hx_console_sink();
    if (sink->poll)
        sink->poll();
    return atomic_load_explicit(&sink->interrupted, memory_order_relaxed);
}

bool hx_console_pause(uint64_t deadline_ns, bool any_key)
{
    return hx_console_sink()->pause(deadline_ns, any_key);
}

/* @any_key: a bool. */
static bool is_stopped(void *any_key)
{
    return hx_console_interrupted() || (*(const bool *)any_key && key_arrived());
}

static bool console_pause(uint64_t deadline_ns, bool any_key)
{
    hx_status_t err = hx_waitq_wait(&arrivals, is_stopped, &any_key, deadline_ns);
    if (err == HX_E_TIMEOUT)
        return false;
    if (err == HX_OK && any_key && !hx_console_interrupted()) {
        uint16_t byte = console.ring[atomic_load_explicit(&console.read, memory_order_relaxed) % RING_BYTES];
        if (byte == 'q' || byte == ' ' || byte == '\r' || byte == '\n') /* no command begins with it */
            (void)take_byte(&byte);
    }
    return true;
}

struct hx_sink hx_console_own_sink = {
    .principal = &hx_console_principal, .write = hx_hal_console_write, .pause = console_pause, .is_terminal = true
};

uint64_t hx_console_bytes_lost(void)
{
    return atomic_load_explicit(&console.lost, memory_order_relaxed);
}

/* ---- the line ------------------------------------------------------------------------------------------------------- */
static void editor_write(void *unused, const char *text, size_t bytes)
{
    (void)unused;
    hx_hal_console_write(text, bytes);
}

static void editor_complete(void *unused, const char *line, size_t word_off, struct hx_editor_matches *matches)
{
    (void)unused;
    hx_command_complete(hx_command_table, line, word_off, matches);
}

static void prompt(void)
{
    char text[HX_EDITOR_PROMPT_MAX];
    hx_console_fresh_line();
    hx_console_log_show();
    hx_fmt(text, sizeof(text), "%s" HX_CONSOLE_PROMPT "%s", hx_console_style(HX_STYLE_PROMPT),
           hx_console_style(HX_STYLE_PLAIN));
    console.is_damaged = false;
    hx_editor_begin(&console.editor, text, sizeof(HX_CONSOLE_PROMPT) - 1);
}

static void run_line(void)
{
    if (console.is_damaged) {
        hx_command_error("console", "input", "bytes came faster than they were read, the line is not whole",
                         "send it again");
        return;
    }
    if (console.editor.overflowed) {
        hx_command_error("console", "line", "it is longer than 255 bytes, what was beyond is missing",
                         "shorten it, arrow up brings it back");
        return;
    }
    atomic_store_explicit(&hx_console_own_sink.interrupted, false, memory_order_relaxed);
    (void)hx_command_run(hx_command_table, console.editor.line);
}

static void take(uint16_t byte)
{
    console.is_damaged |= (byte & AFTER_LOSS) != 0;
    switch (hx_editor_byte(&console.editor, (uint8_t)byte)) {
    case HX_EDITOR_NONE: break;
    case HX_EDITOR_END: hx_hal_console_write("\a", 1); break;
    case HX_EDITOR_LINE:
        run_line();
        prompt();
        break;
    case HX_EDITOR_CANCEL: prompt(); break;
    }
}

/* ---- the task ------------------------------------------------------------------------------------------------------- */
static void show_log_above_line(void)
{
    atomic_store_explicit(&console.log_arrived, false, memory_order_relaxed);
    if (!hx_console_log_is_due())
        return;
    hx_editor_hide(&console.editor);
    hx_console_log_show();
    hx_editor_show(&console.editor);
}

static void begin(void)
{
    static const struct hx_editor_host host = { .write = editor_write, .complete = editor_complete };
    hx_editor_init(&console.editor, &host);
    hx_irq_flags_t flags = hx_irq_save(); /* no line goes out twice, none gets lost */
    hx_console_log_begin();
    hx_log_listen(log_arrived);
    hx_irq_restore(flags);
    hx_console_printf("Type help for commands, Tab completes.\n");
    prompt();
}

static hx_status_t console_body(void *unused)
{
    (void)unused;
    begin();
    for (;;) {
        hx_status_t err = hx_waitq_wait(&arrivals, something_arrived, NULL, UINT64_MAX);
        if (err != HX_OK)
            return err;
        show_log_above_line();
        uint16_t byte;
        while (!atomic_load_explicit(&console.log_arrived, memory_order_acquire) && take_byte(&byte))
            take(byte);
    }
}

hx_status_t hx_console_start(void)
{
    hx_handle_t task;
    return hx_task_create(HX_TASK_CORE, "console", CONSOLE_PRIORITY, console_body, NULL, &task);
}
