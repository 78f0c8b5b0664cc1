package org.alpaca4j.core.internal.jinja;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Clock;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Expected texts are those of Jinja2 3.1.6 as transformers 5.23 configures it. */
class JinjaTemplateTest {

  private static String render(String template) {
    Map<String, Object> variables =
        Map.of("l", List.of(1, 2, 3), "s", "é😀x", "d", Map.of("items", 5));
    return JinjaTemplate.parse(template).render(variables, Clock.systemUTC()).text();
  }

  @ParameterizedTest
  @CsvSource(
      delimiterString = " -> ",
      quoteCharacter = '`',
      value = {
        "true -> True",
        "none -> None",
        "1.0 -> 1.0",
        "1e16 -> 1e+16",
        "0.1 + 0.2 -> 0.30000000000000004",
        "7 // -2 -> -4",
        "-7 % 3 -> 2",
        "2 ** 3 ** 2 -> 64",
        "9223372036854775807 + 1 -> 9223372036854775808",
        "1 < 2 < 3 -> True",
        "[1, 'a', \"it's\", (1,), {}] -> [1, 'a', \"it's\", (1,), {}]",
        "s[1] -> 😀",
        "s[::-1] -> x😀é",
        "s | length -> 3",
        "d['items'] -> 5",
        "d.items() | list -> [('items', 5)]",
        "l | map('string') | join('+') -> 1+2+3",
        "l | select('odd') | list -> [1, 3]",
        "'%s=%05.1f' | format('x', 2.25) -> x=002.2",
        "'{:>4}|{!r}'.format(7, 'q') ->    7|'q'",
        "{'b': [1.5, none], 'é': '<&>'} | tojson -> {\"b\": [1.5, null], \"é\": \"<&>\"}",
        "'a' if undefined_name else 'b' -> b",
        "-1 | abs -> 1",
        "2.5 | round -> 2.0",
      })
  void evaluatesAsPythonDoes(String expression, String expected) {
    assertThat(render("{{ " + expression + " }}").strip()).isEqualTo(expected.strip());
  }

  @Test
  void dropsTheNewlineAfterATagAndTheIndentBeforeIt() {
    assertThat(render("a\n  {% if true %}\n  b\n  {% endif %}\nc\n")).isEqualTo("a\n  b\nc");
  }

  @Test
  void stripsWhereMinusAndKeepsWherePlus() {
    assertThat(render("a  {{- 'x' -}}  b")).isEqualTo("axb");
    assertThat(render("  {%+ if true +%}\nx{% endif %}")).isEqualTo("  \nx");
  }

  @Test
  void anAssignmentInALoopDoesNotReachOutside() {
    assertThat(
            render("{% set y = 0 %}{% for i in l %}{% set y = y + i %}{{ y }}{% endfor %}{{ y }}"))
        .isEqualTo("1230");
  }

  @Test
  void aNamespaceCarriesValuesOutOfALoop() {
    assertThat(
            render(
                "{% set ns = namespace(n=0) %}{% for i in l %}{% set ns.n = ns.n + i %}{% endfor"
                    + " %}{{ ns.n }}"))
        .isEqualTo("6");
  }

  @Test
  void loopKnowsItsPlace() {
    assertThat(
            render(
                "{% for i in l if i > 1 %}{{ loop.index }}/{{ loop.length }}{{ loop.last }};{%"
                    + " endfor %}"))
        .isEqualTo("1/2False;2/2True;");
  }

  @Test
  void elseRunsUnlessAnIterationReachedItsEnd() {
    assertThat(render("{% for i in l %}{% break %}{% else %}E{% endfor %}")).isEqualTo("E");
  }

  @Test
  void macrosTakeDefaultsKeywordsAndACaller() {
    assertThat(
            render(
                "{% macro f(a, b=2) %}{{ a }}{{ b }}{{ caller(a) }}{% endmacro %}"
                    + "{% call(x) f(1, b=3) %}<{{ x }}>{% endcall %}"))
        .isEqualTo("13<1>");
  }

  @Test
  void undefinedPrintsAsNothingAndFailsOnUse() {
    assertThat(render("[{{ missing }}{{ d.missing }}]")).isEqualTo("[]");
    assertThatThrownBy(() -> render("{{ missing + 'x' }}")).hasMessage("'missing' is undefined");
  }

  @Test
  void anUnknownFilterInsideIfIsAnErrorOnlyWhenReached() {
    assertThat(render("{% if false %}{{ 1 | nope }}{% endif %}ok")).isEqualTo("ok");
  }
}
