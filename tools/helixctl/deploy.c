/* SPDX-License-Identifier: MIT */
/* deploy.c - see deploy.h. */
#include "deploy.h"

#include "command_line.h"
#include "interrupt.h"
#include "module_file.h"
#include "signature.h"
#include "terminal.h"

#include <stdlib.h>
#include <string.h>

/* ---- the steps --------------------------------------------------------------------------------------------------------- */
static double since(uint64_t begun_ns)
{
    return (double)(hx_ctl_clock_ns() - begun_ns) / 1e9;
}

static enum hx_ctl_exit push(struct hx_ctl_peer *peer, struct hx_ctl_deploy *deploy, const struct hx_ctl_module *module)
{
    struct hx_ctl_push push = { .name = deploy->pushed, .file = module->sent };
    struct hx_ctl_answer answer = { 0 };
    enum hx_ctl_exit status = HX_CTL_REFUSED;

    if (!hx_ctl_signature_of(deploy->path, push.file, deploy->key_path, push.signature))
        return HX_CTL_REFUSED;
    status = hx_ctl_push_run(peer, &push, &answer);
    if (status == HX_CTL_REFUSED && answer.end)
        hx_ctl_peer_complain(deploy->pushed, &answer);
    deploy->push_s = push.seconds;
    deploy->resumed = push.resumed;
    deploy->end = json_incref(answer.end);
    hx_ctl_answer_free(&answer);
    return status;
}

/* @tolerated: a refusal that is not complained of, by its error's name; NULL: none. */
static enum hx_ctl_exit change(struct hx_ctl_peer *peer, const char *command, const char *tolerated,
                               struct hx_ctl_text *out, json_t **end)
{
    struct hx_ctl_ask ask = { .kind = HX_CONTROL_EXEC, .command = command, .take = hx_ctl_text_add, .context = out };
    struct hx_ctl_answer answer;
    enum hx_ctl_exit status = hx_ctl_peer_ask(peer, &ask, &answer);

    if (status == HX_CTL_REFUSED && answer.end && !(tolerated && strcmp(answer.error, tolerated) == 0))
        hx_ctl_peer_complain(command, &answer);
    if (end) {
        json_decref(*end);
        *end = json_incref(answer.end);
    }
    hx_ctl_answer_free(&answer);
    return status;
}

enum hx_ctl_exit hx_ctl_change(struct hx_ctl_peer *peer, const char *command, struct hx_ctl_text *out, json_t **end)
{
    return change(peer, command, NULL, out, end);
}

static enum hx_ctl_exit run(struct hx_ctl_peer *peer, struct hx_ctl_deploy *deploy, int count, const char *const *words,
                            const char *tolerated)
{
    char command[512];

    if (!hx_ctl_command_line(command, sizeof(command), count, words))
        return HX_CTL_REFUSED;
    free(deploy->said.text);
    deploy->said = (struct hx_ctl_text){ 0 };
    return change(peer, command, tolerated, &deploy->said, &deploy->end);
}

/* Replaces, or loads where that is asked for and nothing of that name is there. */
static enum hx_ctl_exit put_into_place(struct hx_ctl_peer *peer, struct hx_ctl_deploy *deploy)
{
    static const char absent[] = "not-found";
    const char *const reload[] = { "reload", deploy->target, deploy->pushed };
    const char *const load[] = { "insmod", deploy->pushed };
    uint64_t begun_ns = hx_ctl_clock_ns();
    enum hx_ctl_exit status = HX_CTL_REFUSED;

    if (deploy->reload)
        status = run(peer, deploy, 3, reload, deploy->load ? absent : NULL);
    bool is_absent = !deploy->reload || strcmp(hx_ctl_member(deploy->end, "error", ""), absent) == 0;
    if (status == HX_CTL_REFUSED && deploy->load && is_absent)
        status = run(peer, deploy, 2, load, NULL);
    deploy->reload_s = since(begun_ns);
    return status;
}

static bool take_target(struct hx_ctl_deploy *deploy, const struct hx_ctl_module *module)
{
    const char *target = deploy->module ? deploy->module : module->name;

    if (!target[0] && deploy->reload) {
        hx_ctl_complain("%s: what module it is cannot be read from it; name the one to replace: --reload=MODULE",
                        deploy->path);
        return false;
    }
    if (strlen(target) >= sizeof(deploy->target)) {
        hx_ctl_complain("%s: a module's name has at most %d characters", target, HX_NAME_MAX - 1);
        return false;
    }
    memcpy(deploy->target, target, strlen(target) + 1);
    return true;
}

enum hx_ctl_exit hx_ctl_deploy_run(struct hx_ctl_peer *peer, struct hx_ctl_deploy *deploy)
{
    struct hx_ctl_module module;
    uint64_t begun_ns = hx_ctl_clock_ns();
    enum hx_ctl_exit status = HX_CTL_REFUSED;

    if (!hx_ctl_module_read(&module, deploy->path, deploy->name, deploy->check, peer->introduction) ||
        !take_target(deploy, &module))
        goto out;
    /* A signature that is there already is one of the whole file. */
    bool strip =
        deploy->check && !deploy->keep_debug && (deploy->key_path || !hx_ctl_signature_is_beside(deploy->path));
    if ((strip && !hx_ctl_module_strip(&module)) || !hx_ctl_module_fits(&module))
        goto out;
    deploy->check_s = since(begun_ns);
    deploy->bytes = module.sent.bytes;
    memcpy(deploy->pushed, module.pushed, sizeof(deploy->pushed));
    if (module.version)
        snprintf(deploy->version, sizeof(deploy->version), "%u.%u.%u", HX_VERSION_MAJOR(module.version),
                 HX_VERSION_MINOR(module.version), HX_VERSION_PATCH(module.version));
    status = push(peer, deploy, &module);
    if (status == HX_CTL_OK && (deploy->reload || deploy->load))
        status = put_into_place(peer, deploy);
out:
    hx_ctl_module_free(&module);
    return status;
}

void hx_ctl_deploy_free(struct hx_ctl_deploy *deploy)
{
    free(deploy->said.text);
    json_decref(deploy->end);
    deploy->said = (struct hx_ctl_text){ 0 };
    deploy->end = NULL;
}

json_t *hx_ctl_deploy_json(const struct hx_ctl_deploy *deploy, enum hx_ctl_exit status)
{
    json_t *out =
        json_pack("{s:s?, s:s, s:s, s:s, s:I, s:I, s:f, s:f, s:f, s:i}", "file", deploy->path, "name", deploy->pushed,
                  "module", deploy->target, "version", deploy->version, "bytes", (json_int_t)deploy->bytes, "resumed",
                  (json_int_t)deploy->resumed, "check_s", deploy->check_s, "push_s", deploy->push_s, "reload_s",
                  deploy->reload_s, "exit", (int)status);

    if (deploy->said.text)
        json_object_set_new(out, "output", json_string(deploy->said.text));
    if (deploy->end)
        json_object_update_missing(out, deploy->end); /* status, error, text */
    return out;
}
