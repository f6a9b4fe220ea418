/* SPDX-License-Identifier: MIT */
/*
 * cmd_changes.c - commands that change modules: each is one job for the engine, whose report is printed here.
 */
#include "command.h"
#include "console.h"
#include "line_editor.h"
#include "module_names.h"

#include <hotreload/engine.h>
#include <lib/err.h>
#include <lib/fmt.h>
#include <module/pushed.h>
#include <string.h>

enum { CONSOLE_PRIORITY = 128 };

/* ---- loading and unloading ------------------------------------------------------------------------------------------ */
static const char *advice_for(hx_status_t err)
{
    switch (err) {
    case HX_E_IN_USE: return "rmmod its users first, see lsmod";
    case HX_E_TIMEOUT:
    case HX_E_BUSY: return "what ran before runs on, try again";
    case HX_E_FAULT: return "what ran before runs on, see dmesg";
    case HX_E_VERSION: return "see modinfo for the versions there are";
    default: return "nothing was changed";
    }
}

/* One line from a report. Messages that say themselves what to do have a semicolon. */
static hx_status_t refuse_by_report(const char *command, const char *what, hx_status_t err,
                                    const struct hx_report *report)
{
    const char *message = report->message[0] ? report->message : hx_err_text(err);
    bool has_advice = memchr(message, ';', strlen(message)) != NULL;
    char why[400];
    hx_fmt(why, sizeof(why), "%s: %s: %s%s%s", report->step ? report->step : "request", hx_err_name(err), message,
           has_advice ? "" : "; ", has_advice ? "" : advice_for(err));
    hx_console_error(command, what, why);
    return err;
}

static void version_of(const char *name, char out[16])
{
    hx_fmt(out, 16, "-");
    hx_preempt_disable();
    const struct hx_module *module = hx_module_find(name);
    if (module && module->running)
        hx_version_text(module->running->record->version, out);
    hx_preempt_enable();
}

/* Puts the words from @argv on together again, separated by a blank. HX_E_LIMIT. */
static hx_status_t join_parameters(int argc, char **argv, char *out, size_t bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < argc; i++) {
        if (used + strlen(argv[i]) + 2 > bytes)
            return HX_E_LIMIT;
        used = hx_fmt_append(out, bytes, used, i ? " %s" : "%s", argv[i]);
    }
    return HX_OK;
}

static void begin_job(enum hx_job_kind kind, struct hx_job *job)
{
    const struct hx_sink *sink = hx_console_sink();
    *job = (struct hx_job){ .kind = kind,
                            .priority = CONSOLE_PRIORITY,
                            .who = sink->principal->name,
                            .by = sink->principal,
                            .meanwhile = sink->meanwhile };
}

static hx_status_t load_file(int argc, char **argv)
{
    char params[HX_PARAM_TEXT_MAX], version[16];
    struct hx_job job;
    if (argc < 2)
        return hx_command_usage(argv[0]);
    begin_job(HX_JOB_LOAD, &job);
    job.params = params;
    if (hx_names_find_file(argv[1], &job.file) != HX_OK)
        return hx_names_refuse_file(argv[0], argv[1]);
    if (join_parameters(argc - 2, argv + 2, params, sizeof(params)) != HX_OK)
        return hx_command_refuse(argv[0], argv[1], HX_E_LIMIT, "give parameters of at most 127 bytes together");
    hx_status_t err = hx_engine_run(&job);
    if (err != HX_OK)
        return refuse_by_report(argv[0], argv[1], err, &job.report);
    version_of(job.loaded, version);
    hx_console_printf("insmod: loaded %s %s\n", job.loaded, version);
    return HX_OK;
}

static hx_status_t cmd_insmod(int argc, char **argv)
{
    hx_pushed_enter();
    hx_status_t err = load_file(argc, argv);
    hx_pushed_leave();
    return err;
}

/* A job on a module named by the owner; an unknown name is refused here. */
static hx_status_t prepare_job(const char *command, enum hx_job_kind kind, const char *name, struct hx_job *job)
{
    hx_preempt_disable();
    bool exists = strlen(name) < HX_NAME_MAX && hx_module_find(name);
    hx_preempt_enable();
    if (!exists)
        return hx_names_refuse_module(command, name);
    begin_job(kind, job);
    hx_fmt(job->module, sizeof(job->module), "%s", name);
    return HX_OK;
}

static hx_status_t cmd_rmmod(int argc, char **argv)
{
    struct hx_job job;
    if (argc != 2)
        return hx_command_usage(argv[0]);
    hx_status_t err = prepare_job(argv[0], HX_JOB_UNLOAD, argv[1], &job);
    if (err != HX_OK)
        return err;
    err = hx_engine_run(&job);
    if (err != HX_OK)
        return refuse_by_report(argv[0], argv[1], err, &job.report);
    hx_console_printf("rmmod: unloaded %s\n", argv[1]);
    return HX_OK;
}

/* Stops and continues: what is done, and who should know. */
static hx_status_t run_state_job(int argc, char **argv, enum hx_job_kind kind, const char *done)
{
    struct hx_job job;
    if (argc != 2)
        return hx_command_usage(argv[0]);
    hx_status_t err = prepare_job(argv[0], kind, argv[1], &job);
    if (err != HX_OK)
        return err;
    err = hx_engine_run(&job);
    if (err != HX_OK)
        return refuse_by_report(argv[0], argv[1], err, &job.report);
    const char *users = job.report.message;
    hx_console_printf("%s: %s %s%s%s\n", argv[0], argv[1], done, users[0] ? "; used by " : "", users);
    return HX_OK;
}

static hx_status_t cmd_pause(int argc, char **argv)
{
    return run_state_job(argc, argv, HX_JOB_PAUSE, "is paused");
}

static hx_status_t cmd_resume(int argc, char **argv)
{
    return run_state_job(argc, argv, HX_JOB_RESUME, "goes on");
}

/* ---- swaps ---------------------------------------------------------------------------------------------------------- */
static void version_pair(const struct hx_swap_record *record, char *out, size_t bytes)
{
    char old_text[16], new_text[16];
    hx_version_text(record->old_version, old_text);
    hx_version_text(record->new_version, new_text);
    bool same = strcmp(record->old_name, record->new_name) == 0 || record->new_name[0] == '\0';
    hx_fmt(out, bytes, "%s %s -> %s%s%s", record->old_name, old_text, same ? "" : record->new_name, same ? "" : " ",
           record->new_version ? new_text : "?");
}

static void print_swap(const char *command, const struct hx_swap_record *record)
{
    char pair[112];
    version_pair(record, pair, sizeof(pair));
    bool restarted = record->outcome == HX_SWAP_RESTARTED;
    hx_console_printf("%s: %s, %llu bytes of state (%s), total %llu.%03u us, blackout %llu.%03u us, %s%s%s\n", command,
                      pair, (unsigned long long)record->state_bytes, hx_state_way_name(record->way),
                      (unsigned long long)(record->total_ns / 1000u), (uint32_t)(record->total_ns % 1000u),
                      (unsigned long long)(record->blackout_ns / 1000u), (uint32_t)(record->blackout_ns % 1000u),
                      hx_swap_outcome_name(record->outcome), restarted ? " " : "",
                      restarted ? hx_record_state_text(record->found) : "");
}

static bool copy_swap(uint64_t number, struct hx_swap_record *out)
{
    hx_preempt_disable();
    const struct hx_swap_record *record = hx_history_get(number);
    if (record)
        *out = *record;
    hx_preempt_enable();
    return record != NULL;
}

/* All of the job's swap, when several modules were swapped in one step. */
static void print_swaps(const char *command, const struct hx_job *job)
{
    struct hx_swap_record record;
    uint64_t transaction = job->swap.transaction;
    for (uint64_t number = transaction; copy_swap(number, &record) && record.transaction == transaction; number++)
        print_swap(command, &record);
}

static hx_status_t run_swap_job(char **argv, struct hx_job *job)
{
    hx_status_t err = hx_engine_run(job);
    if (err != HX_OK && job->swap.number)
        return refuse_by_report(argv[0], job->swap.old_name, err, &job->swap.report);
    if (err != HX_OK)
        return refuse_by_report(argv[0], argv[1], err, &job->report);
    print_swaps(argv[0], job);
    return HX_OK;
}

/* Takes "OPTION VALUE" out of the arguments, the first there is. NULL: none is. HX_E_INVAL: it has no value. */
static hx_status_t take_option(const char *option, int *argc, char **argv, char **out_value)
{
    int at = 1;
    *out_value = NULL;
    while (at < *argc && strcmp(argv[at], option) != 0)
        at++;
    if (at == *argc)
        return HX_OK;
    if (at + 1 == *argc)
        return HX_E_INVAL;
    *out_value = argv[at + 1];
    *argc -= 2;
    memmove(&argv[at], &argv[at + 2], (size_t)(*argc - at + 1) * sizeof(*argv));
    return HX_OK;
}

/* --repeat N. HX_E_INVAL: N is no number from 1 to a million. */
static hx_status_t take_repeat(int *argc, char **argv, uint64_t *out_times)
{
    char *value = NULL;
    hx_status_t err = take_option("--repeat", argc, argv, &value);
    if (err == HX_OK && value && (hx_command_number(value, 1000000, out_times) != HX_OK || *out_times == 0))
        err = HX_E_INVAL;
    return err;
}

static hx_status_t cmd_restart(int argc, char **argv)
{
    struct hx_job job;
    if (argc != 2)
        return hx_command_usage(argv[0]);
    hx_status_t err = prepare_job(argv[0], HX_JOB_RESTART, argv[1], &job);
    if (err == HX_OK)
        err = run_swap_job(argv, &job);
    if (err == HX_OK && job.report.message[0])
        hx_console_printf("%s: used by %s\n", argv[0], job.report.message);
    return err;
}

/* "NAME" or "NAME=FILE". */
static hx_status_t add_part(const char *command, char *word, struct hx_job *job)
{
    char *file = memchr(word, '=', strlen(word));
    if (file)
        *file++ = '\0';
    if (job->with_count == HX_ARRAY_SIZE(job->with))
        return hx_command_refuse(command, word, HX_E_LIMIT, "name at most 8 modules for one step");
    struct hx_job_part *part = &job->with[job->with_count++];
    hx_preempt_disable();
    bool exists = strlen(word) < HX_NAME_MAX && hx_module_find(word);
    hx_preempt_enable();
    if (!exists)
        return hx_names_refuse_module(command, word);
    hx_fmt(part->module, sizeof(part->module), "%s", word);
    part->may_downgrade = file != NULL;
    if (file && hx_names_find_file(file, &part->file) != HX_OK)
        return hx_names_refuse_file(command, file);
    if (!file && hx_names_find_newest(word, &part->file) != HX_OK)
        return hx_command_refuse(command, word, HX_E_NOENT, "name the file to load, modinfo lists them");
    return HX_OK;
}

/* --with NAME[=FILE],..., as often as it is there. */
static hx_status_t take_parts(int *argc, char **argv, struct hx_job *job)
{
    char *value = NULL;
    hx_status_t err = HX_OK;
    while (err == HX_OK) {
        err = take_option("--with", argc, argv, &value);
        if (err != HX_OK)
            return hx_command_usage(argv[0]);
        if (!value)
            return HX_OK;
        while (err == HX_OK && value) {
            char *next = memchr(value, ',', strlen(value));
            if (next)
                *next++ = '\0';
            err = add_part(argv[0], value, job);
            value = next;
        }
    }
    return err;
}

/* Again and again, by turns to the file of @job and to what ran before. */
static hx_status_t run_swap_jobs(char **argv, struct hx_job *job, uint64_t times)
{
    uint64_t done = 0, sum_ns = 0, most_ns = 0;
    struct turn {
        struct hx_slice file;
        const char *params;
    } turn[2] = { { job->file, job->params }, { job->file, job->params } };
    char params[HX_PARAM_TEXT_MAX];
    hx_status_t err = HX_OK;
    hx_preempt_disable();
    const struct hx_module *module = hx_module_find(job->module);
    if (module && module->running) {
        hx_fmt(params, sizeof(params), "%s", module->running->params_text);
        turn[1] = (struct turn){ module->running->file, params };
    }
    hx_preempt_enable();
    job->may_downgrade = true;
    while (done < times && !hx_console_interrupted()) {
        job->file = turn[done % 2].file;
        job->params = turn[done % 2].params;
        err = hx_engine_run(job);
        if (err != HX_OK)
            break;
        done++;
        sum_ns += job->swap.blackout_ns;
        if (job->swap.blackout_ns > most_ns)
            most_ns = job->swap.blackout_ns;
        hx_fmt(job->module, sizeof(job->module), "%s", job->swap.new_name);
    }
    uint64_t mean_ns = done ? sum_ns / done : 0;
    hx_console_printf("%s: %llu swaps, blackout %llu.%03u us on average, %llu.%03u us at most\n", argv[0],
                      (unsigned long long)done, (unsigned long long)(mean_ns / 1000u), (uint32_t)(mean_ns % 1000u),
                      (unsigned long long)(most_ns / 1000u), (uint32_t)(most_ns % 1000u));
    if (err != HX_OK)
        return refuse_by_report(argv[0], argv[1], err, job->swap.number ? &job->swap.report : &job->report);
    return HX_OK;
}

/* reload NAME [FILE] [PARAM=VALUE...] [--with NAME[=FILE],...] [--repeat N] */
static hx_status_t reload_file(int argc, char **argv)
{
    char params[HX_PARAM_TEXT_MAX];
    struct hx_job job;
    uint64_t times = 1;
    if (take_repeat(&argc, argv, &times) != HX_OK || argc < 2)
        return hx_command_usage(argv[0]);
    hx_status_t err = prepare_job(argv[0], HX_JOB_RELOAD, argv[1], &job);
    if (err == HX_OK)
        err = take_parts(&argc, argv, &job);
    if (err != HX_OK)
        return err;
    if (times > 1 && job.with_count)
        return hx_command_refuse(argv[0], argv[1], HX_E_INVAL, "repeat the swap of one module alone");
    const char *file = argc > 2 && !memchr(argv[2], '=', strlen(argv[2])) ? argv[2] : NULL;
    int first_param = file ? 3 : 2;
    job.may_downgrade = file != NULL;
    if (file && hx_names_find_file(file, &job.file) != HX_OK)
        return hx_names_refuse_file(argv[0], file);
    if (!file && hx_names_find_newest(argv[1], &job.file) != HX_OK)
        return hx_command_refuse(argv[0], argv[1], HX_E_NOENT, "name the file to load, modinfo lists them");
    if (join_parameters(argc - first_param, argv + first_param, params, sizeof(params)) != HX_OK)
        return hx_command_refuse(argv[0], argv[1], HX_E_LIMIT, "give parameters of at most 127 bytes together");
    if (first_param < argc)
        job.params = params;
    return times > 1 ? run_swap_jobs(argv, &job, times) : run_swap_job(argv, &job);
}

static hx_status_t cmd_reload(int argc, char **argv)
{
    hx_pushed_enter();
    hx_status_t err = reload_file(argc, argv);
    hx_pushed_leave();
    return err;
}

static hx_status_t end_probation(int argc, char **argv, enum hx_job_kind kind)
{
    struct hx_job job;
    if (argc != 2)
        return hx_command_usage(argv[0]);
    hx_status_t err = prepare_job(argv[0], kind, argv[1], &job);
    return err == HX_OK ? run_swap_job(argv, &job) : err;
}

static hx_status_t cmd_commit(int argc, char **argv)
{
    return end_probation(argc, argv, HX_JOB_COMMIT);
}

static hx_status_t cmd_rollback(int argc, char **argv)
{
    return end_probation(argc, argv, HX_JOB_ROLLBACK);
}

static void give_history_row(const struct hx_swap_record *record)
{
    char old[16], new[16];
    const uint64_t *ns = record->phase_ns;
#define NS(phase) (unsigned long long)ns[HX_PHASE_##phase]
    hx_version_text(record->old_version, old);
    hx_version_text(record->new_version, new);
    hx_console_object(
        "num transaction at_ns open_ns decided_ns who old old_version new new_version way state_bytes "
        "total_ns blackout_ns link_ns admit_ns init_ns reserve_ns drain_ns save_ns load_ns publish_ns "
        "start_ns check_ns calls_since outcome step error reason",
        "%llu %llu %llu %llu %llu %s %s %s %s %s %s %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu "
        "%llu %llu %llu %s %s %s %s",
        (unsigned long long)record->number, (unsigned long long)record->transaction, (unsigned long long)record->at_ns,
        (unsigned long long)record->open_ns, (unsigned long long)record->decided_ns, record->who, record->old_name, old,
        record->new_name, new, hx_state_way_name(record->way), (unsigned long long)record->state_bytes,
        (unsigned long long)record->total_ns, (unsigned long long)record->blackout_ns, NS(LINK), NS(ADMIT), NS(INIT),
        NS(RESERVE), NS(DRAIN), NS(SAVE), NS(LOAD), NS(PUBLISH), NS(START), NS(CHECK),
        (unsigned long long)record->calls_since, hx_swap_outcome_name(record->outcome),
        record->report.step ? record->report.step : "-", hx_err_name(record->report.err), record->report.message);
#undef NS
}

static void print_history_row(const struct hx_swap_record *record)
{
    char pair[112];
    version_pair(record, pair, sizeof(pair));
    hx_console_printf("%4llu %8llu.%03u %-8s %-36s %9llu %-6s %8llu.%03u %8llu.%03u %-9s",
                      (unsigned long long)record->number, (unsigned long long)(record->at_ns / 1000000000u),
                      (uint32_t)(record->at_ns / 1000000u % 1000u), record->who, pair,
                      (unsigned long long)record->state_bytes, hx_state_way_name(record->way),
                      (unsigned long long)(record->total_ns / 1000u), (uint32_t)(record->total_ns % 1000u),
                      (unsigned long long)(record->blackout_ns / 1000u), (uint32_t)(record->blackout_ns % 1000u),
                      hx_swap_outcome_name(record->outcome));
    if (record->outcome == HX_SWAP_REVERTED)
        hx_console_printf(" after %llu calls:", (unsigned long long)record->calls_since);
    if (record->transaction != record->number)
        hx_console_printf(" with %llu", (unsigned long long)record->transaction);
    if (record->report.err != HX_OK && record->outcome != HX_SWAP_PROBATION && record->outcome != HX_SWAP_COMMITTED)
        hx_console_printf(" %s: %s: %s", record->report.step ? record->report.step : "?",
                          hx_err_name(record->report.err), record->report.message);
    if (record->outcome == HX_SWAP_RESTARTED)
        hx_console_printf(" %s%s%s", hx_record_state_text(record->found), record->report.message[0] ? " after " : "",
                          record->report.message);
    hx_console_printf("\n");
}

static hx_status_t cmd_swaps(int argc, char **argv)
{
    if (argc != 1)
        return hx_command_usage(argv[0]);
    struct hx_swap_record record;
    uint64_t last = hx_history_last(), first = last > HX_HISTORY_ENTRIES ? last - HX_HISTORY_ENTRIES + 1 : 1;
    hx_console_table(" NUM         AT-S WHO      WHAT                                     STATE WAY   "
                     "     TOTAL-US  BLACKOUT-US OUTCOME   REASON");
    for (uint64_t number = first; number <= last && !hx_console_interrupted(); number++)
        if (copy_swap(number, &record))
            (hx_console_wants_rows() ? give_history_row : print_history_row)(&record);
    if (first > 1)
        hx_console_printf("swaps: %llu earlier entries were dropped\n", (unsigned long long)(first - 1));
    return HX_OK;
}

static hx_status_t cmd_reloads(int argc, char **argv)
{
    bool on = hx_engine_reloads();
    if (argc > 2 || (argc == 2 && hx_console_switch_parse(argv[1], &on) != HX_OK))
        return hx_command_usage(argv[0]);
    hx_engine_set_reloads(on);
    hx_console_printf("reloads %s\n", on ? "on" : "off");
    return HX_OK;
}

static void complete_reload(uint32_t position, struct hx_editor_matches *matches)
{
    hx_names_complete_modules(position, matches);
    if (position >= 2) {
        hx_names_offer_files(matches);
        hx_names_complete_modules(1, matches);
        hx_editor_offer(matches, "--with");
    }
}

const struct hx_command hx_commands_changes[] = {
    { .id = { HX_CAPABILITY_MODULES, "insmod" },
      .arguments = "FILE [PARAM=VALUE...]",
      .summary = "load a module from a file, pushed or in the initrd",
      .handler = cmd_insmod,
      .complete = hx_names_complete_files },
    { .id = { HX_CAPABILITY_MODULES, "rmmod" },
      .arguments = "NAME",
      .summary = "unload a module",
      .handler = cmd_rmmod,
      .complete = hx_names_complete_modules },
    { .id = { HX_CAPABILITY_MODULES, "reload" },
      .arguments = "NAME [FILE] [PARAM=VALUE...] [--with NAME[=FILE],...] [--repeat N]",
      .summary = "replace a running module, its state carried over",
      .handler = cmd_reload,
      .help =
          "Without FILE: by the highest version of NAME among the files. With FILE: by that file, an older version or\n"
          "another module that provides the same included. Refused at any step, the old version runs on.\n"
          "Without PARAM the parameters of the running version go on to hold. With --repeat: N times, by turns to that\n"
          "file and to what ran before, until Ctrl-C. With --with: those modules in the same step, all or none, which a\n"
          "new major version of an interface needs of its provider and users.",
      .complete = complete_reload },
    { .id = { HX_CAPABILITY_DEBUG, "swaps" },
      .arguments = "",
      .summary = "what became of each reload and restart",
      .handler = cmd_swaps },
    { .id = { HX_CAPABILITY_MODULES, "commit" },
      .arguments = "NAME",
      .summary = "end a module's probation: the new version stays",
      .handler = cmd_commit,
      .complete = hx_names_complete_modules },
    { .id = { HX_CAPABILITY_MODULES, "rollback" },
      .arguments = "NAME",
      .summary = "end a module's probation: the previous version comes back",
      .handler = cmd_rollback,
      .complete = hx_names_complete_modules },
    { .id = { HX_CAPABILITY_MODULES, "pause" },
      .arguments = "NAME",
      .summary = "have a module stand still, with everything it has",
      .handler = cmd_pause,
      .help =
          "Its tasks wait, its timers keep what is left of their time, its interrupts and requests wait for `resume'.",
      .complete = hx_names_complete_modules },
    { .id = { HX_CAPABILITY_MODULES, "resume" },
      .arguments = "NAME",
      .summary = "have a paused module go on",
      .handler = cmd_resume,
      .complete = hx_names_complete_modules },
    { .id = { HX_CAPABILITY_MODULES, "restart" },
      .arguments = "NAME",
      .summary = "have a module begin again, without its state",
      .handler = cmd_restart,
      .help =
          "By a new version from the same file, with the same parameters; whoever uses it goes on. Also from Paused and\n"
          "Error. A module that crashes is restarted so once by itself; boot option restart=off says not to.",
      .complete = hx_names_complete_modules },
    { .id = { HX_CAPABILITY_MODULES, "reloads" },
      .arguments = "[on|off]",
      .summary = "whether reloads are taken",
      .handler = cmd_reloads,
      .words = "on off" },
    { .id = { HX_CAPABILITY_NONE, NULL } },
};
