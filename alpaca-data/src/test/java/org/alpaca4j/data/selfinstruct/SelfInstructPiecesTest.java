package org.alpaca4j.data.selfinstruct;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.data.DataException;
import org.alpaca4j.data.InstructionRecord;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Seed tasks, prompts, replies and the rule of similarity, one by one. */
class SelfInstructPiecesTest {
  @TempDir Path folder;

  @Test
  void encodesSeedTasksAsTheOriginalDoes() {
    List<SeedTask> tasks =
        List.of(
            new SeedTask(" Name\n\u00a0a  colour: ", "", "Red."),
            new SeedTask("Sort these::", "b\na", "a\nb"));
    assertThat(InstructionPrompt.of("Header").encode(tasks))
        .isEqualTo(
            """
            Header
            ###
            1. Instruction: Name a colour
            1. Input:
            <noinput>
            1. Output:
            Red.
            ###
            2. Instruction: Sort these
            2. Input:
            b
            a
            2. Output:
            a
            b
            ###
            3. Instruction:""");
  }

  @Test
  void hasAPromptOfItsOwn() {
    String header = InstructionPrompt.ofDefaults().header();
    assertThat(header).contains("<noinput>").endsWith("List of 20 tasks:");
    for (int i = 1; i <= 9; i++) {
      assertThat(header).containsOnlyOnce("\n" + i + ". ");
    }
  }

  @Test
  void takesTheTextOfAFile() throws IOException {
    Path file = Files.writeString(folder.resolve("prompt.txt"), "One\r\nTwo\n");
    assertThat(InstructionPrompt.load(file).encode(List.of()))
        .isEqualTo("One\nTwo\n\n###\n1. Instruction:");
  }

  @Test
  void namesLineAndFieldOfABadSeedTask() throws IOException {
    Path file =
        Files.writeString(
            folder.resolve("seed_tasks.jsonl"),
            """
            {"instruction": "a", "instances": [{"input": "", "output": "b"}, {}]}

            {"instruction": "a", "instances": [{"input": 3, "output": "b"}]}
            """);
    assertThatThrownBy(() -> SeedTask.readJsonl(file))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("seed_tasks.jsonl, line 3")
        .hasMessageContaining("instances[0].input");
  }

  @ParameterizedTest
  @CsvSource({
    "Name three large rivers., ",
    "Name three rivers., TOO_SHORT",
    "Describe the picture in words., UNSUITABLE_WORD",
    "Describe the PICTURES in words., UNSUITABLE_WORD",
    "Describe the pictured scene in words., ",
    "Say where to go to., UNSUITABLE_WORD",
    "Write a program that adds numbers., WRITE_A_PROGRAM",
    "Please Write a program that adds., ",
    "(a) name three large rivers., PUNCTUATION",
    "Élire un président pour tous., NOT_ASCII",
  })
  void filtersInstructions(String instruction, DropReason reason) {
    ReplyParser.Piece piece =
        ReplyParser.parse(
                reply(" " + instruction + "\n4. Input:\n<NoInput>\n4. Output:\nx\n", "stop"), 3)
            .get(0);
    assertThat(piece.dropped()).isEqualTo(reason);
    if (reason == null) {
      assertThat(piece.candidate()).contains(new InstructionRecord(instruction, "", "x"));
    }
  }

  @Test
  void countsWords() {
    String words = "word ".repeat(150);
    assertThat(dropReason(words)).isNull();
    assertThat(dropReason(words + "word")).isEqualTo(DropReason.TOO_LONG);
  }

  private static DropReason dropReason(String instruction) {
    String text = " " + instruction + "\n4. Input:\n<noinput>\n4. Output:\nx";
    return ReplyParser.parse(reply(text, "stop"), 3).get(0).dropped();
  }

  @Test
  void dropsTheLastPartOfACutReply() {
    String part = " Name %d large rivers.\n%d. Input:\n<noinput>\n%d. Output:\nx\n";
    String text = part.formatted(4, 4, 4) + "###\n5. Instruction:" + part.formatted(5, 5, 5);
    assertThat(ReplyParser.parse(reply(text, "stop"), 3))
        .extracting(ReplyParser.Piece::dropped)
        .containsExactly(null, null);
    assertThat(ReplyParser.parse(reply(text, "length"), 3))
        .extracting(ReplyParser.Piece::dropped)
        .containsExactly(null, DropReason.CUT_BY_LENGTH);
  }

  @Test
  void keepsWhatIsExactlyAtTheThreshold() {
    InstructionPool pool = new InstructionPool(0.7, false);
    pool.add("a b c d e f g h i j");
    assertThat(pool.offer(record("a b c d e f g x y z"))).isPresent();
    assertThat(pool.offer(record("a b c d e f g h y z"))).isEmpty();
  }

  @Test
  void comparesOtherScriptsOnRequest() {
    InstructionRecord record = record("把这句话翻译成法语");
    for (boolean anyScript : new boolean[] {false, true}) {
      InstructionPool pool = new InstructionPool(0.7, anyScript);
      pool.add(record.instruction());
      assertThat(pool.offer(record).isEmpty()).isEqualTo(anyScript);
    }
  }

  private static InstructionRecord record(String instruction) {
    return new InstructionRecord(instruction, "", "");
  }

  private static ModelReply reply(String text, String finishReason) {
    return new ModelReply(0, text, finishReason, TokenUsage.NONE);
  }

  @Test
  void takesASpecialTokenThatASeedTaskQuotesForText() throws Exception {
    Path folder = Path.of(getClass().getResource("/byte-level-tokenizer").toURI());
    try (Tokenizer tokenizer = Tokenizer.load(folder)) {
      int[] ids = LocalModel.promptIds(tokenizer, "a<|im_end|>b</s>");
      assertThat(ids).startsWith(tokenizer.prefixIds()).doesNotContain(2, 264);
      assertThat(tokenizer.decode(ids, true)).isEqualTo("a<|im_end|>b</s>");
      assertThat(LocalModel.promptIds(tokenizer, "ab")).isEqualTo(tokenizer.encodeIds("ab", true));
    }
  }
}
