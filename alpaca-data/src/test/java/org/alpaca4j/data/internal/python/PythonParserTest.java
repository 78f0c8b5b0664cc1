package org.alpaca4j.data.internal.python;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What CPython 3.11's own parser says about the same sources. */
class PythonParserTest {

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          'a' 'b'            | "ab"
          '\\x61\\142\\u0063'| 'abc'
          '\\N{BULLET}'      | '\\u2022'
          r'\\n'             | '\\\\n'
          '\\q'              | '\\\\q'
          b'\\x61'           | b'a'
          0x1F               | 3_1
          0o17               | 0b1111
          1e3                | 1000.0
          1_0.5J             | 10.5j
          ((a))              | a
          (a, b)             | (a, b,)
          a[1, 2]            | a[(1, 2)]
          f(x for x in y)    | f((x for x in y))
          a + b * c          | a + (b * c)
          a - b - c          | (a - b) - c
          a ** b ** c        | a ** (b ** c)
          -a ** b            | -(a ** b)
          not a in b         | not (a in b)
          a or b and c       | a or (b and c)
          f'{x}' 'b'         | f'{ x }b'
          f'{x=}'            | f'x={x!r}'
          f'{{{x:>{w}}}}'    | '{' f'{x:>{w}}' '}'
          lambda a, *b: a    | lambda a,*b:(a)
          ﬁ                  | fi
          """)
  void treesAreEqualHoweverTheyAreWritten(String one, String other) throws Exception {
    assertThat(PythonParser.expression(one)).isEqualTo(PythonParser.expression(other));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          'a' + 'b'   | 'ab'
          f'a'        | 'a'
          b'a'        | 'a'
          u'a'        | 'a'
          1           | 1.0
          -1          | 1
          (a,)        | a
          [a]         | (a,)
          {a}         | {a: a}
          a < b < c   | (a < b) < c
          a and b and c | (a and b) and c
          f(a)        | f(a=a)
          f(*a)       | f(a)
          x[1:2]      | x[1]
          [x for x in y] | (x for x in y)
          """)
  void whatIsAnotherTreeIsNotEqual(String one, String other) throws Exception {
    assertThat(PythonParser.expression(one)).isNotEqualTo(PythonParser.expression(other));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "f()",
        "x = y = f()",
        "x: list[f()] = 1",
        "x += f()",
        "@f()\nclass A: pass",
        "def g(a, b=f(), /, *, c: int = 1, **d) -> None: ...",
        "class A(B, metaclass=f()):\n\tx = 1\n",
        "with (f() as a, b): pass",
        "with (f()).x as a: pass",
        "with (a, b) as c, f(): pass",
        "try:\n  f()\nexcept* (A, B) as e:\n  raise X from e\nfinally: pass",
        "for a, *b in f(): break\nelse: pass",
        "while (n := f()): continue",
        "async def g():\n  async with a: pass\n  async for b in c: await f()",
        "match x:\n  case [A(), *rest] if f(): pass\n  case _: pass",
        "match = case = f()",
        "f'{f()!r:>10}'",
        "if a: pass\nelif b: pass\nelse: f()",
        "[x async for x in f() if x if y]",
        "{**a, 'b': f()}",
        "lambda *a, b=f(), **c: (yield)",
        "return f() if a else b",
        "del a[f()], b",
        "assert f(), 'x'",
        "global a; f()",
        "from . import (a as b,); f()",
        "x[f():, ...]",
        "1if f()else 2",
        "f(a, *b, c=1, **d)",
        "x = \\\n  f()",
        "# nothing\n\n  # more\nf()"
      })
  void callsAreFoundWhereverTheyStand(String program) throws Exception {
    assertThat(PythonParser.calls(program))
        .extracting(call -> call.children().get(0).dottedName())
        .containsExactly("f");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "f(",
        "f)",
        "(f]",
        " f()",
        "if a:\nf()",
        "if a:\n    f()\n  g()",
        "Use f() for this.",
        "f(a=1, b)",
        "f(**a, *b)",
        "f(x for x in y, 1)",
        "f() = 1",
        "f() += 1",
        "(a, b): int",
        "None = 1",
        "x := 1",
        "'a",
        "'a\n'",
        "'''a",
        "'\\x4'",
        "'\\N{no such character}'",
        "b'é'",
        "b'a' 'b'",
        "f'{'",
        "f'}'",
        "f'{}'",
        "f'{a b}'",
        "f'{a!z}'",
        "01",
        "1__0",
        "1_",
        "0x",
        "1a",
        "a $ b",
        "a ! b",
        "lambda a=1, b: 0",
        "def f(*): pass",
        "def f(a, /, b, /): pass",
        "try: pass",
        "(*a)",
        "[*a for a in b]",
        "for f() in x: pass",
        "import a.b as c.d",
        "print 'x'",
        "f(True=1)",
        "\0",
        "x = \\",
        "\uFEFFf()",
        "del",
        "a\n\tb\n",
        "else: pass"
      })
  void whatCPythonRefusesIsRefused(String program) {
    assertThatThrownBy(() -> PythonParser.calls(program))
        .isInstanceOf(PythonSyntaxException.class)
        .hasMessageStartingWith("line ");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"(", "[", "{1:", "-", "not ", "f(", "lambda: ", "a if b else ", "2 ** ", "*", "@"})
  void endlessNestingIsRefusedAndNotACrash(String piece) {
    assertThatThrownBy(() -> PythonParser.calls(piece.repeat(100_000) + "a"))
        .isInstanceOf(PythonSyntaxException.class);
  }

  @ParameterizedTest
  @ValueSource(strings = {".a", "()", "[0]", " + 1", "(0)(1)"})
  void endlessChainsAreRefusedAndNotACrash(String piece) {
    assertThatThrownBy(() -> PythonParser.calls("a" + piece.repeat(100_000)))
        .isInstanceOf(PythonSyntaxException.class)
        .hasMessageContaining("nested deeper");
  }

  @Test
  void asManyBracketsAsCPythonAllowsFitOnASmallStack() throws Exception {
    String source = "(".repeat(200) + "a" + ")".repeat(200);
    List<Throwable> failures = new java.util.ArrayList<>();
    Thread small = new Thread(null, () -> assertParses(source, failures), "small", 512 * 1024);
    small.start();
    small.join();
    assertThat(failures).isEmpty();
  }

  private static void assertParses(String source, List<Throwable> failures) {
    try {
      PythonParser.calls(source);
    } catch (PythonSyntaxException | StackOverflowError e) {
      failures.add(e);
    }
  }

  @Test
  void anyTextEndsInATreeOrARefusal() {
    long seed = 20_260_101;
    Random random = new Random(seed);
    String[] pieces = {
      "f(", ")", "[", "]", "{", "}", ",", ":", "=", ":=", "*", "**", "lambda ", "x", "f'{", "}'",
      "'", "\"", "'''", "\\", "\n", "\n  ", " ", "1", "0x", "1e", ".", "...", "if ", " else ",
      "for ", " in ", "not ", "yield ", "await ", "async ", "def ", "class ", "match ", "case ",
      "with ", "try:", "except", "import ", "from ", "@", "->", "é", "\t", "#", "!", "\uD800",
      "\\N{", "\\x", "b'", "rb\"", "u'"
    };
    for (int i = 0; i < 20_000; i++) {
      StringBuilder text = new StringBuilder();
      for (int n = random.nextInt(25); n >= 0; n--) {
        text.append(pieces[random.nextInt(pieces.length)]);
      }
      assertThatCode(
              () -> {
                try {
                  PythonParser.calls(text.toString());
                } catch (PythonSyntaxException e) {
                  assertThat(e).hasMessageStartingWith("line ");
                }
              })
          .as("seed %d, text %d: %s", seed, i, text)
          .doesNotThrowAnyException();
    }
  }
}
