package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class LayerCodeTest {
  private static final Pattern BUFFER =
      Pattern.compile("__torch__\\.buffer\\((\\w+), (\\d+), ([\\w* ]+), (\\d+), tokens\\)");
  private static final Pattern ASSIGNED = Pattern.compile("(\\w+) = (.*)");
  private static final Pattern WORD = Pattern.compile("\\w+");

  @Test
  void aBufferIsFreeBehindTheLastLineThatNamesIt() {
    LayerCode code = new LayerCode();
    code.line("a = f(" + code.scratch("a", "tokens", 4, 4) + ")");
    code.line("b = f(a, " + code.scratch("b", "rows", 6, 6) + ")");
    code.line("c = f(b, " + code.scratch("c", "tokens * 2", 1, 2) + ")");
    code.line("d = f(c, " + code.scratch("d", "tokens", 3, 3) + ")");

    assertThat(code.planned())
        .containsExactly(
            "a = f(__torch__.buffer(scratch, 0, tokens, 4, tokens))",
            "b = f(a, __torch__.buffer(scratch, 4, rows, 6, tokens))",
            "c = f(b, __torch__.buffer(scratch, 0, tokens * 2, 1, tokens))",
            "d = f(c, __torch__.buffer(scratch, 2, tokens, 3, tokens))");
    assertThat(code.size()).isEqualTo(10);
  }

  @Test
  void anotherNameKeepsABuffer() {
    LayerCode code = new LayerCode();
    code.line("a = f(" + code.scratch("a", "tokens", 4, 4) + ")");
    code.line("view = a.view([1])");
    code.alias("view", "a.view([1])");
    code.line("of_view = view[0]");
    code.alias("of_view", "view");
    code.line("b = f(" + code.scratch("b", "tokens", 4, 4) + ")");
    code.line("g(of_view, b)");

    code.planned();
    assertThat(code.size()).isEqualTo(8);
  }

  @Test
  void aNameThatBeginsAsAnotherIsAnother() {
    LayerCode code = new LayerCode();
    code.line("a = f(" + code.scratch("a", "tokens", 4, 4) + ")");
    code.line("a_b = f(" + code.scratch("a_b", "tokens", 4, 4) + ")");
    code.line("g(a_b, d_a, a2)");

    code.planned();
    assertThat(code.size()).isEqualTo(4);
    assertThat(code.names("a_b")).isTrue();
    assertThat(code.names("b")).isFalse();
  }

  @Test
  void twoBuffersOfOneNameAreRefused() {
    LayerCode code = new LayerCode();
    code.line("a = f(" + code.scratch("a", "tokens", 4, 4) + ")");
    assertThatThrownBy(() -> code.scratch("a", "tokens", 4, 4))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("two buffers are called a");
  }

  /** Straight programs of buffers, views and lines that name any of them. */
  @Test
  void whatIsInUseAtOnceNeverOverlaps() {
    for (long seed = 0; seed < 300; seed++) {
      Random random = new Random(seed);
      LayerCode code = new LayerCode();
      Map<String, Set<String>> memoryOf = new HashMap<>();
      List<String> names = new ArrayList<>();
      int lines = 3 + random.nextInt(25);
      for (int i = 0; i < lines; i++) {
        String name = "v" + i;
        List<String> read =
            IntStream.range(0, random.nextInt(3))
                .filter(j -> !names.isEmpty())
                .mapToObj(j -> names.get(random.nextInt(names.size())))
                .toList();
        if (random.nextInt(3) > 0) {
          int width = 1 + random.nextInt(9);
          String buffer = code.scratch(name, "tokens", width, width);
          code.line("%s = f(%s)".formatted(name, String.join(", ", read) + ", " + buffer));
          memoryOf.put(name, Set.of(name));
          names.add(name);
        } else if (!read.isEmpty() && random.nextBoolean()) {
          code.line("%s = view(%s)".formatted(name, String.join(", ", read)));
          code.alias(name, String.join(", ", read));
          memoryOf.put(
              name,
              read.stream().flatMap(r -> memoryOf.get(r).stream()).collect(Collectors.toSet()));
          names.add(name);
        } else {
          code.line("g(%s)".formatted(String.join(", ", read)));
        }
      }
      requireApart("seed " + seed, code.planned(), memoryOf, code.size());
    }
  }

  static Stream<String> decoders() {
    return Stream.concat(SmallDecoders.all().keySet().stream(), RandomDecoder.cases().stream());
  }

  /** Here a variable counts as the memory of all that its line names, unless it has its own. */
  @ParameterizedTest
  @MethodSource("decoders")
  void noLayerOverwritesWhatItStillReads(String name) {
    DecoderDescription known = SmallDecoders.all().get(name);
    DecoderDescription decoder = known == null ? RandomDecoder.of(name, 2).build() : known;
    LayerRecipe recipe = LayerRecipe.of(decoder, decoder.layers().get(0));
    LayerProgram program = LayerProgram.of(recipe, 1e-5, 8);
    for (List<String> lines : List.of(program.forward(), program.backward())) {
      Map<String, Set<String>> memoryOf = new HashMap<>();
      for (String line : lines) {
        Matcher assigned = ASSIGNED.matcher(line);
        if (!assigned.matches()) {
          continue;
        }
        Matcher buffer = BUFFER.matcher(line);
        boolean own = buffer.find() && buffer.group(1).equals("scratch");
        String variable = assigned.group(1);
        String value = assigned.group(2);
        boolean view =
            value.contains(".view(") || value.matches("\\w+") || value.contains("choose(");
        if (own) {
          memoryOf.put(variable, Set.of(variable));
        } else if (view) {
          Set<String> memory = new HashSet<>();
          words(value).forEach(word -> memory.addAll(memoryOf.getOrDefault(word, Set.of())));
          memoryOf.put(variable, memory);
        }
      }
      requireApart(name, lines, memoryOf, program.scratchWidth());
      requireKeptApart(name, lines, program.keptWidth() - decoder.hiddenSize());
    }
  }

  private static List<String> words(String text) {
    return WORD.matcher(text).results().map(result -> result.group()).toList();
  }

  /** A buffer and what it holds between two lines. */
  private record Use(String name, int first, int last, long offset, long end) {}

  private static void requireApart(
      String what, List<String> lines, Map<String, Set<String>> memoryOf, long size) {
    List<Use> uses = new ArrayList<>();
    for (int i = 0; i < lines.size(); i++) {
      Matcher assigned = ASSIGNED.matcher(lines.get(i));
      Matcher buffer = BUFFER.matcher(lines.get(i));
      if (!assigned.matches() || !buffer.find() || !buffer.group(1).equals("scratch")) {
        continue;
      }
      String name = assigned.group(1);
      int last = i;
      for (int j = i; j < lines.size(); j++) {
        boolean named =
            words(lines.get(j)).stream()
                .anyMatch(word -> memoryOf.getOrDefault(word, Set.of()).contains(name));
        last = named ? j : last;
      }
      long offset = Long.parseLong(buffer.group(2));
      uses.add(new Use(name, i, last, offset, offset + width(buffer)));
    }
    long end = 0;
    for (Use one : uses) {
      end = Math.max(end, one.end());
      for (Use other : uses) {
        boolean atOnce = one.first() <= other.last() && other.first() <= one.last();
        boolean overlap = one.offset() < other.end() && other.offset() < one.end();
        assertThat(one != other && atOnce && overlap)
            .as("%s: %s and %s in\n%s", what, one, other, String.join("\n", lines))
            .isFalse();
      }
    }
    assertThat(end).as(what).isLessThanOrEqualTo(size);
  }

  /** What is kept for the backward pass lives as long as all of it. */
  private static void requireKeptApart(String what, List<String> lines, long size) {
    long end = 0;
    for (String line : lines) {
      Matcher buffer = BUFFER.matcher(line);
      if (buffer.find() && buffer.group(1).equals("kept")) {
        assertThat(Long.parseLong(buffer.group(2))).as(what).isEqualTo(end);
        end += width(buffer);
      }
    }
    assertThat(end).as(what).isEqualTo(size);
  }

  /** Elements for each token. */
  private static long width(Matcher buffer) {
    String[] rows = buffer.group(3).split(" \\* ");
    long times = rows.length == 1 ? 1 : Long.parseLong(rows[1]);
    return Long.parseLong(buffer.group(4)) * times;
  }
}
