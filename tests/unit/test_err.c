/* SPDX-License-Identifier: MIT */
/* test_err.c - every error has a name and a text; what is no error has one too. */
#include <criterion/criterion.h>
#include <lib/err.h>

Test(err, each_error_has_its_own_name_and_text)
{
#define HX_ERR(name, number, short_name, text)                                                                         \
    cr_assert_str_eq(hx_err_name(HX_E_##name), short_name);                                                            \
    cr_assert_str_eq(hx_err_text(HX_E_##name), text);
#include <helix/err.def>
#undef HX_ERR
}

Test(err, success_has_a_name)
{
    cr_assert_str_eq(hx_err_name(HX_OK), "ok");
}

Test(err, what_is_no_error_is_unknown)
{
    cr_assert_str_eq(hx_err_name(1), "unknown-error");
    cr_assert_str_eq(hx_err_name(-100000), "unknown-error");
    cr_assert_str_eq(hx_err_name(INT64_MIN), "unknown-error");
    cr_assert_str_eq(hx_err_name(INT64_MAX), "unknown-error");
    cr_assert_not_null(hx_err_text(-100000));
}
