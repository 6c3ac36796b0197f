/* A status as metrics: specs/outcomes.md [OUT-9]. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/status_json.h"
#include "io/status_metrics.h"

static char *metrics_of(const struct status *status, const char *folder) {
  char *text = NULL;
  size_t len;
  FILE *out = open_memstream(&text, &len);
  json_t *object = status == NULL ? NULL : status_json(status);
  status_metrics_write(object, folder, out);
  fclose(out);
  json_decref(object);
  return text;
}

static bool has_line(const char *text, const char *line) {
  size_t len = strlen(line);
  for (const char *at = text; (at = strstr(at, line)) != NULL; at++)
    if ((at == text || at[-1] == '\n') && at[len] == '\n') return true;
  return false;
}

static struct status sample(void) {
  struct status status = {.role = "relay", .ready = true, .stage = 4, .stages = 4, .stage_text = "carrying traffic"};
  status_add_figure(&status, "links", 7);
  status_add_figure(&status, "creates_refused", UINT64_C(5000000000));
  status_add_figure(&status, "circuit_build_us", 1002003);
  status_add_figure(&status, "of_tomorrow", 3);
  status_add_expiry(&status, "network file", (struct date){1803000000999});
  status_add_expiry(&status, "consensus", (struct date){1000});
  return status;
}

Test(status_metrics, counters_gauges_and_dates_are_what_they_are) {
  struct status status = sample();
  char *text = metrics_of(&status, "r1");
  cr_assert(has_line(text, "tunic_up{data=\"r1\"} 1"));
  cr_assert(has_line(text, "tunic_ready{data=\"r1\",role=\"relay\"} 1"));
  cr_assert(has_line(text, "tunic_cause_info{data=\"r1\",role=\"relay\",cause=\"ok\"} 1"));
  cr_assert(has_line(text, "# TYPE tunic_links gauge"));
  cr_assert(has_line(text, "tunic_links{data=\"r1\",role=\"relay\"} 7"));
  cr_assert(has_line(text, "# TYPE tunic_creates_refused_total counter"));
  cr_assert(has_line(text, "tunic_creates_refused_total{data=\"r1\",role=\"relay\"} 5000000000"));
  cr_assert(has_line(text, "tunic_circuit_build_seconds{data=\"r1\",role=\"relay\"} 1.002003"), "in seconds");
  cr_assert(has_line(text, "# TYPE tunic_of_tomorrow untyped"), "what is not known is shown all the same");
  cr_assert(has_line(text, "tunic_expiry_timestamp_seconds{data=\"r1\",role=\"relay\",what=\"network file\"} 1803000000"));
  cr_assert(has_line(text, "tunic_expiry_timestamp_seconds{data=\"r1\",role=\"relay\",what=\"consensus\"} 1"));
  free(text);
}

/* The format wants HELP and TYPE once for a name, in front of all its samples. */
Test(status_metrics, each_name_is_described_once_before_its_samples) {
  struct status status = sample();
  char *text = metrics_of(&status, "r1"), *rest = NULL, described[128] = "";
  for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
    char name[128];
    if (sscanf(line, "# HELP %127s", name) == 1) {
      cr_assert_str_neq(name, described);
      snprintf(described, sizeof described, "%s", name);
    } else {
      cr_assert(sscanf(line, "# TYPE %127s", name) == 1 || sscanf(line, "%127[a-z_]{", name) == 1, "%s", line);
      cr_assert_str_eq(name, described);
    }
  }
  cr_assert_str_eq(described, "tunic_expiry_timestamp_seconds");
  free(text);
}

Test(status_metrics, odd_bytes_in_a_label_are_escaped) {
  struct status status = sample();
  char *text = metrics_of(&status, "a\"b\\c\nd");
  cr_assert(has_line(text, "tunic_up{data=\"a\\\"b\\\\c\\nd\"} 1"), "%s", text);
  free(text);
  char folder[5000];
  memset(folder, '"', sizeof folder - 1);
  folder[sizeof folder - 1] = 0;
  text = metrics_of(&status, folder);
  cr_assert_not_null(strstr(text, "\\\"\"} 1\n"), "cut, and closed");
  free(text);
}

Test(status_metrics, a_node_that_does_not_answer_is_down) {
  char *text = metrics_of(NULL, "r1");
  cr_assert_str_eq(text, "# HELP tunic_up 1 if the node answers.\n# TYPE tunic_up gauge\ntunic_up{data=\"r1\"} 0\n");
  free(text);
}
