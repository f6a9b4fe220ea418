/* SPDX-License-Identifier: MIT */
/* cmd_sign.c - mkmodpack sign: signatures beside modules, for kernels that take no others; and whether they are good. */
#include "command.h"
#include "signature.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>

struct request {
    const char *key;
    char **path; /* [count], in argv */
    int count;
    bool check;
    bool help;
};

static bool parse(int argc, char **argv, struct request *out)
{
    static const struct option options[] = {
        { "key", required_argument, NULL, 'k' },
        { "check", no_argument, NULL, 'c' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "k:h", options, NULL)) != -1) {
        if (c == 'h')
            return out->help = true;
        if (c == 'k')
            out->key = optarg;
        else if (c == 'c')
            out->check = true;
        else
            return hx_mp_usage("sign", 0), false;
    }
    if (!out->key) {
        fputs("mkmodpack: sign: no key is named: --key says whose signature it is; name one\n", stderr);
        return hx_mp_usage("sign", 0), false;
    }
    out->path = argv + optind;
    out->count = argc - optind;
    return out->count > 0 || hx_mp_wrong_count("sign", 0, 1, INT_MAX);
}

static void sign_all(const struct request *request, const struct hx_mp_key *key, struct hx_mp_findings *findings)
{
    if (!key->secret) {
        hx_mp_find_error(findings, HX_E_INVAL, request->key,
                         "no secret: it is a public key, which only --check takes; name the private one");
        return;
    }
    for (int i = 0; i < request->count; i++)
        (void)hx_mp_sign(key, request->path[i], findings);
}

static void check_all(const struct request *request, const struct hx_mp_key *key, struct hx_mp_findings *findings)
{
    for (int i = 0; i < request->count; i++)
        if (hx_mp_signature_check(key, request->path[i], findings))
            printf("%s: good\n", request->path[i]);
}

int hx_mp_cmd_sign(int argc, char **argv)
{
    struct hx_mp_findings findings = { 0 };
    struct request request = { 0 };
    struct hx_mp_key key = { 0 };

    if (!parse(argc, argv, &request))
        return HX_MP_USAGE;
    if (request.help) {
        hx_mp_usage("sign", 1);
        return HX_MP_OK;
    }
    if (hx_mp_key_read(&key, request.key, &findings)) {
        if (request.check)
            check_all(&request, &key, &findings);
        else
            sign_all(&request, &key, &findings);
    }
    hx_mp_key_free(&key);
    return findings.count > 0 ? HX_MP_FINDINGS : HX_MP_OK;
}
