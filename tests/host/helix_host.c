/* SPDX-License-Identifier: MIT */
/*
 * helix_host.c - see helix_host.h. Composed by kernel/main/compose_core.c, of what has no machine under it.
 */
#include "helix_host.h"

#include <debug/log.h>
#include <gate/gate.h>
#include <hotreload/engine.h>
#include <hotreload/probation.h>
#include <ipc/message_router.h>
#include <lib/err.h>
#include <main/compose_core.h>
#include <orchestrator/capability_broker.h>
#include <orchestrator/lifecycle.h>
#include <orchestrator/resource_broker.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hal_host.h"

enum { CASE_LIMIT_S = 60, WHY_BYTES = 512, LOG_BYTES = 1 << 16 };
#define MEMORY_BYTES (UINT64_C(1) << 30)
#define NS_PER_SECOND UINT64_C(1000000000)

static char why[WHY_BYTES];

/* ---- the world --------------------------------------------------------------------------------------------------------- */
static void tell(bool bad, const char *line)
{
    hx_log_line(bad ? HX_LOG_ERROR : HX_LOG_INFO, NULL, "%s", line);
}

static void must(hx_status_t err, const char *what)
{
    if (err != HX_OK)
        helix_host_fail(__FILE__, __LINE__, what, " %s", hx_err_name(err));
}

static void begin(void)
{
    static const struct hx_compose_ties ties = { .tell = tell };
    hal_host_init();
    hx_irq_flags_t flags = hx_irq_save();
    must(hx_compose_core(&ties), "interfaces");
    must(hx_resource_pool_init(HX_RESOURCE_MEMORY, MEMORY_BYTES), "memory");
    must(hx_resource_pool_init(HX_RESOURCE_CPU_TIME, NS_PER_SECOND), "time");
    must(hx_task_init(), "tasks");
    must(hx_engine_start(), "worker");
    hx_irq_restore(flags);
    hal_host_run();
}

static hx_status_t run_case(void *argument)
{
    const struct helix_host_case *one = argument;
    one->run();
    fflush(stdout);
    _exit(EXIT_SUCCESS);
}

/* In a task of the kernel's class, above those of the policy: whatever they do, it gets its turn. */
static _Noreturn void begin_case(const struct helix_host_case *one)
{
    struct helix_host_case its = *one;
    hx_handle_t task = HX_HANDLE_NONE;
    begin();
    must(hx_task_create(HX_TASK_CORE, "test", 200, run_case, &its, &task), "a task for the case");
    hal_host_run();
    helix_host_fail(__FILE__, __LINE__, its.name, " waits for ever");
}

/* ---- modules ----------------------------------------------------------------------------------------------------------- */
/* Kept to the end: versions borrow it. */
static bool read_file(const char *path, struct hx_slice *out)
{
    FILE *file = fopen(path, "rb");
    long bytes = -1;
    if (file && fseek(file, 0, SEEK_END) == 0)
        bytes = ftell(file);
    uint8_t *data = bytes > 0 ? malloc((size_t)bytes) : NULL;
    if (data) {
        rewind(file);
        if (fread(data, 1, (size_t)bytes, file) != (size_t)bytes) {
            free(data);
            data = NULL;
        }
    }
    if (file)
        fclose(file);
    *out = hx_slice_of(data, data ? (size_t)bytes : 0);
    if (!data)
        snprintf(why, sizeof(why), "%s: cannot be read", path);
    return data != NULL;
}

static bool run(struct hx_job *job)
{
    job->who = "test";
    job->by = &hx_kernel_principal;
    hx_status_t err = hx_engine_run(job);
    const struct hx_report *report = job->swap.number ? &job->swap.report : &job->report;
    why[0] = 0;
    if (err != HX_OK)
        snprintf(why, sizeof(why), "%s: %s: %s", report->step ? report->step : "?", hx_err_name(err), report->message);
    return err == HX_OK;
}

bool helix_host_load(const char *path, const char *params)
{
    struct hx_job job = { .kind = HX_JOB_LOAD, .params = params };
    return read_file(path, &job.file) && run(&job);
}

bool helix_host_reload(const char *module, const char *path)
{
    struct hx_job job = { .kind = HX_JOB_RELOAD, .may_downgrade = true };
    snprintf(job.module, sizeof(job.module), "%s", module);
    return read_file(path, &job.file) && run(&job);
}

static bool run_simple(enum hx_job_kind kind, const char *module)
{
    struct hx_job job = { .kind = kind };
    snprintf(job.module, sizeof(job.module), "%s", module);
    return run(&job);
}

bool helix_host_rollback(const char *module)
{
    return run_simple(HX_JOB_ROLLBACK, module);
}

bool helix_host_unload(const char *module)
{
    return run_simple(HX_JOB_UNLOAD, module);
}

const char *helix_host_why(void)
{
    return why;
}

const char *helix_host_version(const char *module)
{
    static char text[16];
    const struct hx_module *found = hx_module_find(module);
    if (!found || !found->running)
        return "-";
    hx_version_text(found->running->record->version, text);
    return text;
}

uint64_t helix_host_bytes(void)
{
    struct hx_hal_memory_stats stats;
    hx_hal_memory_stats(&stats);
    return stats.heap_bytes + (stats.image_pages + stats.grant_pages) * HX_PAGE_BYTES;
}

static char log_text[LOG_BYTES];

static void add_log_line(const char *line)
{
    size_t used = strlen(log_text);
    snprintf(log_text + used, sizeof(log_text) - used, "%s\n", line);
}

const char *helix_host_log(void)
{
    log_text[0] = 0;
    hx_log_dump(UINT32_MAX, add_log_line);
    return log_text;
}

/* ---- services, tasks, devices -------------------------------------------------------------------------------------------- */
struct request {
    const char *service;
    struct hx_message message;
};

static hx_ret_t ask(struct request *request)
{
    hx_handle_t service = hx_router_find(request->service);
    if (service == HX_HANDLE_NONE)
        return HX_E_NOENT;
    return hx_router_request(service, &hx_kernel_holder, &request->message, hx_hal_clock_ns() + NS_PER_SECOND);
}

hx_ret_t helix_host_request(const char *service, uint32_t code, const char *text, char reply[HX_INLINE_MAX + 1])
{
    struct request request = { .service = service, .message = { .priority = HX_PRIORITY_NORMAL, .code = code } };
    size_t bytes = text ? strlen(text) : 0;
    reply[0] = 0;
    if (bytes > HX_INLINE_MAX)
        return HX_E_LIMIT;
    if (text) {
        request.message.payload = HX_PAYLOAD_INLINE;
        request.message.bytes = (uint8_t)bytes;
        memcpy(request.message.data, text, bytes);
    }
    hx_ret_t err = ask(&request);
    if (err == HX_OK && request.message.type == HX_MESSAGE_ERROR)
        err = -(hx_ret_t)request.message.code;
    if (err == HX_OK && request.message.payload == HX_PAYLOAD_INLINE) {
        memcpy(reply, request.message.data, request.message.bytes);
        reply[request.message.bytes] = 0;
    }
    return err;
}

struct work {
    void (*body)(void *argument);
    void *argument;
};

static hx_status_t work(void *argument)
{
    struct work mine = *(struct work *)argument;
    free(argument);
    mine.body(mine.argument);
    return HX_OK;
}

void helix_host_spawn(const char *name, uint8_t priority, void (*body)(void *argument), void *argument)
{
    hx_handle_t task = HX_HANDLE_NONE;
    struct work *its = malloc(sizeof(*its));
    if (!its)
        helix_host_fail(__FILE__, __LINE__, "a task", " has no memory");
    *its = (struct work){ body, argument };
    must(hx_task_create(HX_TASK_POLICY, name, priority, work, its, &task), "a task");
}

void helix_host_pass_ns(uint64_t ns)
{
    if (hx_task_current()->class == HX_TASK_CORE)
        (void)hx_task_sleep_until(hx_hal_clock_ns() + ns);
    else
        hal_host_advance(ns);
}

uint64_t helix_host_wrong_answers(void)
{
    struct hx_sched_stats stats;
    hx_sched_stats(&stats);
    return stats.bad_answers;
}

void helix_host_ports(uint8_t (*read)(uint16_t port), void (*write)(uint16_t port, uint8_t value))
{
    hal_host_port_read = read;
    hal_host_port_write = write;
}

void helix_host_interrupt(uint32_t line)
{
    hal_host_irq(line);
}

/* ---- cases --------------------------------------------------------------------------------------------------------------- */
void helix_host_fail(const char *file, int line, const char *what, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("# %s:%d: %s:", file, line, what);
    vprintf(format, arguments);
    puts("");
    va_end(arguments);
    fflush(stdout);
    _exit(EXIT_FAILURE);
}

static bool wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strstr(name, argv[i]))
            return true;
    return argc < 2;
}

static bool passes(const struct helix_host_case *one)
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(CASE_LIMIT_S);
        begin_case(one);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    if (WIFSIGNALED(status))
        printf("# ended by signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

int helix_host_main(const struct helix_host_case *cases, size_t count, int argc, char **argv)
{
    size_t chosen = 0, failed = 0, number = 0;
    for (size_t i = 0; i < count; i++)
        chosen += wanted(cases[i].name, argc, argv);
    printf("1..%zu\n", chosen);
    for (size_t i = 0; i < count; i++) {
        if (!wanted(cases[i].name, argc, argv))
            continue;
        bool passed = passes(&cases[i]);
        failed += !passed;
        printf("%s %zu - %s\n", passed ? "ok" : "not ok", ++number, cases[i].name);
    }
    return failed || !chosen ? EXIT_FAILURE : EXIT_SUCCESS;
}
