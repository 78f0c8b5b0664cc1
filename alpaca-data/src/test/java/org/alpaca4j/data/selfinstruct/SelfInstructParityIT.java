package org.alpaca4j.data.selfinstruct;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.alpaca4j.data.InstructionRecord;
import org.assertj.core.api.SoftAssertions;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * Self-Instruct against stanford_alpaca's functions: prompts, parsing with every filter, the rule
 * of similarity, and regen.json. Two deviations, both in how a number prints: a mean may differ in
 * its last digit, and the score of a text without tokens is 0.0, where rouge_score has an integer.
 */
@Tag("parity")
class SelfInstructParityIT {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Pattern ESCAPE = Pattern.compile("\\\\u(?!00[01])[0-9a-f]{4}");
  private static final Pattern NUMBER = Pattern.compile(": ([0-9.e-]+)(?=,?$)");
  private static final Path AREA = Path.of(System.getProperty("fixtures"), "selfinstruct");

  @TempDir Path folder;

  @TestFactory
  Stream<DynamicTest> encodesPrompts() throws IOException {
    return cases("prompts.jsonl").map(c -> DynamicTest.dynamicTest(c.name(), () -> checkPrompt(c)));
  }

  private static void checkPrompt(Case aCase) throws IOException {
    List<SeedTask> tasks = new ArrayList<>();
    for (JsonNode index : aCase.json().path("seed_tasks")) {
      tasks.add(seeds().get(index.intValue()));
    }
    for (JsonNode task : aCase.json().path("tasks")) {
      tasks.add(
          new SeedTask(
              task.get("instruction").textValue(),
              task.get("input").textValue(),
              task.get("output").textValue()));
    }
    String body = aCase.json().get("body").textValue();
    assertThat(InstructionPrompt.of("Header").encode(tasks)).isEqualTo("Header\n" + body);
    if (Files.exists(AREA.resolve("prompt_header.json"))) {
      String header =
          JSON.readTree(AREA.resolve("prompt_header.json").toFile())
              .path("fixed_numbering")
              .textValue();
      String prompt = InstructionPrompt.of(header).encode(tasks);
      assertThat(prompt.codePointCount(0, prompt.length()))
          .isEqualTo(aCase.json().get("prompt_fixed_numbering_chars").intValue());
    }
  }

  @TestFactory
  Stream<DynamicTest> parsesReplies() throws IOException {
    return cases("completions.jsonl")
        .map(c -> DynamicTest.dynamicTest(c.name(), () -> checkReply(c.json())));
  }

  private static void checkReply(JsonNode expected) {
    ModelReply reply =
        new ModelReply(
            0, expected.get("text").asText(), text(expected.get("finish_reason")), TokenUsage.NONE);
    List<ReplyParser.Piece> pieces =
        ReplyParser.parse(reply, expected.get("num_prompt_instructions").intValue());
    List<InstructionRecord> entries = new ArrayList<>();
    for (JsonNode entry : expected.get("entries")) {
      entries.add(
          new InstructionRecord(
              entry.get("instruction").textValue(),
              entry.get("input").textValue(),
              entry.get("output").textValue()));
    }
    assertThat(pieces.stream().map(ReplyParser.Piece::candidate).flatMap(Optional::stream))
        .containsExactlyElementsOf(entries);
    List<String> reasons = new ArrayList<>();
    expected.get("pieces").forEach(piece -> reasons.add(reason(piece.textValue())));
    // An empty reply has no list of pieces in the original, and one that is dropped here.
    if (!reasons.isEmpty()) {
      assertThat(pieces).extracting(p -> String.valueOf(p.dropped())).isEqualTo(reasons);
    }
  }

  private static String reason(String original) {
    if (original.startsWith("blacklist")) {
      return DropReason.UNSUITABLE_WORD.name();
    }
    return switch (original) {
      case "kept" -> "null";
      case "last piece of a reply cut by length" -> DropReason.CUT_BY_LENGTH.name();
      case "too short" -> DropReason.TOO_SHORT.name();
      case "too long" -> DropReason.TOO_LONG.name();
      case "Write a program" -> DropReason.WRITE_A_PROGRAM.name();
      case "starts with punctuation" -> DropReason.PUNCTUATION.name();
      case "starts with non-ASCII" -> DropReason.NOT_ASCII.name();
      default -> DropReason.MALFORMED.name();
    };
  }

  @TestFactory
  Stream<DynamicTest> decidesWhatIsTooSimilar() throws IOException {
    if (!Files.exists(AREA.resolve("dedup_candidates.json"))) {
      return Stream.empty();
    }
    return Stream.of(DynamicTest.dynamicTest("dedup_result.jsonl", this::checkSimilarity));
  }

  private void checkSimilarity() throws IOException {
    JsonNode candidates = JSON.readTree(AREA.resolve("dedup_candidates.json").toFile());
    InstructionPool pool = new InstructionPool(0.7, false);
    List<String> texts = new ArrayList<>();
    for (SeedTask seed : seeds()) {
      pool.add(seed.instruction());
      texts.add(seed.instruction());
    }
    List<GeneratedInstruction> kept = new ArrayList<>();
    SoftAssertions softly = new SoftAssertions();
    for (Case aCase : cases("dedup_result.jsonl").toList()) {
      JsonNode expected = aCase.json();
      String text = candidates.get(expected.get("candidate").intValue()).textValue();
      GeneratedInstruction result = pool.offer(new InstructionRecord(text, "", "")).orElse(null);
      softly
          .assertThat(result != null)
          .as(aCase.name())
          .isEqualTo(expected.get("kept").asBoolean());
      if (result == null) {
        continue;
      }
      kept.add(result);
      Map<String, Double> similar = new LinkedHashMap<>();
      expected
          .get("most_similar")
          .forEach(pair -> similar.put(texts.get(pair.get(0).intValue()), pair.get(1).asDouble()));
      softly
          .assertThat(result.mostSimilar().keySet())
          .as(aCase.name())
          .containsExactlyElementsOf(similar.keySet());
      similar.forEach(
          (other, score) ->
              softly.assertThat(result.mostSimilar().get(other)).isCloseTo(score, within(1e-12)));
      softly
          .assertThat(result.averageSimilarity())
          .as(aCase.name())
          .isCloseTo(expected.get("avg_similarity_score").asDouble(), within(1e-12));
      texts.add(text);
    }
    softly.assertAll();
    checkLayout(kept);
  }

  /** The first entries written by us, against the original's: equal but for the last digits. */
  private void checkLayout(List<GeneratedInstruction> kept) throws IOException {
    Path reference = AREA.resolve("regen_first15.json");
    if (!Files.exists(reference)) {
      return;
    }
    RegenFile regen = RegenFile.open(folder, 0);
    kept.subList(0, JSON.readTree(reference.toFile()).size()).forEach(regen::add);
    regen.write();
    List<String> written = written().lines().toList();
    List<String> expected = Files.readString(reference).stripTrailing().lines().toList();
    assertThat(written).hasSameSizeAs(expected);
    for (int i = 0; i < written.size(); i++) {
      Matcher number = NUMBER.matcher(expected.get(i));
      Matcher ours = NUMBER.matcher(written.get(i));
      if (number.find() && ours.find()) {
        assertThat(ours.replaceAll("")).isEqualTo(number.replaceAll(""));
        ours.reset().find();
        number.reset().find();
        assertThat(Double.parseDouble(ours.group(1)))
            .isCloseTo(Double.parseDouble(number.group(1)), within(1e-12));
      } else {
        assertThat(written.get(i)).isEqualTo(expected.get(i));
      }
    }
  }

  @Test
  void rewritesItsFileUnchanged() throws IOException {
    Path reference = AREA.resolve("regen_first15.json");
    if (Files.exists(reference)) {
      Files.copy(reference, folder.resolve(RegenFile.NAME));
      RegenFile.open(folder, RegenFile.count(folder)).write();
      assertThat(written()).isEqualTo(Files.readString(reference).stripTrailing());
    }
  }

  /**
   * Our file, but with characters outside ASCII as they are: so they stand in the reference, where
   * the original's json.dump writes escapes, as we do.
   */
  private String written() throws IOException {
    String written = Files.readString(folder.resolve(RegenFile.NAME));
    assertThat(written.chars()).allMatch(c -> c < 128);
    return ESCAPE
        .matcher(written)
        .replaceAll(
            match -> String.valueOf((char) Integer.parseInt(match.group().substring(2), 16)));
  }

  private static @Nullable String text(JsonNode node) {
    return node.isNull() ? null : node.textValue();
  }

  private record Case(String name, JsonNode json) {}

  private static Stream<Case> cases(String name) throws IOException {
    Path file = AREA.resolve(name);
    if (!Files.exists(file)) {
      return Stream.empty();
    }
    List<Case> cases = new ArrayList<>();
    for (String line : Files.readString(file).split("\n")) {
      cases.add(new Case(name + ":" + (cases.size() + 1), JSON.readTree(line)));
    }
    return cases.stream();
  }

  private static List<SeedTask> seeds() {
    return SeedTask.readJsonl(
        Path.of(System.getProperty("fixtures")).resolve("../data/seed_tasks.jsonl"));
  }
}
