package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.alpaca4j.core.ChatMessage;
import org.alpaca4j.core.ChatTemplate;
import org.alpaca4j.core.Tokenizer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What becomes of records that cannot be used, and of fields that mean nothing. */
class BadRecordsTest {

  private static final String GOOD = "{\"instruction\": \"i\", \"output\": \"o\"}";

  private static Tokenizer tokenizer;

  @TempDir Path folder;

  @BeforeAll
  static void loadTokenizer() {
    tokenizer = TestTokenizer.load();
  }

  @AfterAll
  static void closeTokenizer() {
    tokenizer.close();
  }

  private Path file(String name, String... lines) throws IOException {
    return Files.writeString(folder.resolve(name), String.join("\n", lines) + "\n");
  }

  private static SupervisedDataset.Builder leaveOut(double share) {
    return SupervisedDataset.builder()
        .tokenizer(tokenizer)
        .onBadRecord(OnBadRecord.leaveOut(share));
  }

  @Test
  void leavesOutLinesThatCannotBeReadAndListsThem() throws IOException {
    Path file =
        file(
            "a.jsonl",
            GOOD,
            "{\"instruction\": \"i\"",
            "{\"instruction\": [], \"output\": \"o\"}",
            GOOD,
            "{\"instruction\": \"i\", \"output\": NaN}",
            "7");

    DataReport report = leaveOut(0.7).jsonl(file).build().report();

    assertThat(report.badRecords())
        .containsExactly(
            new BadRecord(
                file.toString(), 2, 1, "not readable as JSON: ends too early; it may be cut off"),
            new BadRecord(
                file.toString(), 3, 2, "field \"instruction\": expected a string, found an array"),
            new BadRecord(
                file.toString(),
                5,
                4,
                "field \"output\": not readable as JSON: holds NaN, which JSON does not have; write"
                    + " null or a number"),
            new BadRecord(file.toString(), 6, 5, "expected an object, found the number 7"));
    assertThat(report.records()).isEqualTo(6);
    assertThat(report.examples()).isEqualTo(2);
    assertThat(report.dropped()).isEqualTo(4);
  }

  @Test
  void readsOnInAnArrayAndInCsv() throws IOException {
    Path array =
        file("a.json", "[" + GOOD + ",", "{\"a\": [{\"b\": 1, \"b\": 2}]},", "[1],", GOOD + "]");
    assertThat(leaveOut(0.5).json(array).build().report().badRecords())
        .containsExactly(
            new BadRecord(array.toString(), 2, 1, "field \"a[0].b\": stands twice in one object"),
            new BadRecord(array.toString(), 3, 2, "expected an object, found an array"));

    Path csv = file("a.csv", "instruction,output", "1,2,3", "1", "a,b");
    DataReport report = leaveOut(0.7).file(csv).build().report();
    assertThat(report.examples()).isEqualTo(1);
    assertThat(report.badRecords()).extracting(BadRecord::line).containsExactly(2, 3);
  }

  @Test
  void refusesTheFirstByDefaultAndMoreThanTheShare() throws IOException {
    Path file = file("a.jsonl", GOOD, "{}", "{}", GOOD);

    assertThatThrownBy(() -> SupervisedDataset.builder().tokenizer(tokenizer).jsonl(file).build())
        .isInstanceOf(DataException.class)
        .hasMessage(file + ", line 2, record 1, field \"instruction\": is missing");
    assertThatThrownBy(() -> leaveOut(0.49).jsonl(file).build())
        .isInstanceOf(DataException.class)
        .hasMessageStartingWith(file + ": 2 of 4 records cannot be used, a larger share than the")
        .hasMessageContaining(file + ", line 2, record 1, field \"instruction\": is missing");
    assertThatThrownBy(() -> OnBadRecord.leaveOut(1.5)).hasMessageContaining("maxShare");
    assertThatThrownBy(() -> OnBadRecord.leaveOut(0)).hasMessageContaining("refuse()");
  }

  @Test
  void neverLeavesOutTheRestOfAFile() throws IOException {
    Path array = file("a.json", "[" + GOOD + ",", GOOD, "x]");
    Path csv = file("a.csv", "instruction,output", "a,b", "\"a,b");
    Path columns = file("b.csv", "question,output", "a,b");

    assertThatThrownBy(() -> leaveOut(1).json(array).build())
        .hasMessageStartingWith(array + ", line 3");
    assertThatThrownBy(() -> leaveOut(1).file(csv).build())
        .hasMessageContaining("a quote that is never closed");
    assertThatThrownBy(
            () -> leaveOut(1).source(DataFile.csv(columns).map(InstructionReader.alpaca())).build())
        .hasMessageContaining("there is no such column");
  }

  @Test
  void leavesOutWhatItsTemplateRefuses() {
    ChatTemplate template =
        ChatTemplate.of(
            "{% for m in messages %}{% if m.content == 'bad' %}{{ raise_exception('no') }}"
                + "{% endif %}{{ m.role + m.content }}{% endfor %}"
                + "{% if add_generation_prompt %}assistant{% endif %}");
    List<Conversation> records =
        List.of(
            Conversation.of(ChatMessage.user("bad"), ChatMessage.assistant("b")),
            Conversation.of(ChatMessage.user("a"), ChatMessage.assistant("b")));

    SupervisedDataset dataset =
        SupervisedDataset.conversations()
            .tokenizer(tokenizer)
            .chatTemplate(template)
            .records(records)
            .onBadRecord(OnBadRecord.leaveOut(0.5))
            .build();

    assertThat(dataset.size()).isEqualTo(1);
    assertThat(dataset.recordIndex(0)).isEqualTo(1);
    assertThat(dataset.report().records()).isEqualTo(2);
    assertThat(dataset.report().badRecords()).hasSize(1);
    assertThat(dataset.report().badRecords().get(0).record()).isZero();
    assertThat(dataset.report().badRecords().get(0).reason()).contains("no");
  }

  @Test
  void goesThroughMixturesSamplesAndSplits() throws IOException {
    Path file = file("a.jsonl", GOOD, "{}", GOOD, GOOD, GOOD, GOOD);
    RecordSource<InstructionRecord> source = DataFile.jsonl(file).map(InstructionReader.alpaca());

    for (RecordSource<InstructionRecord> derived :
        List.of(
            source.sample(5, 1).filter(record -> true).named("n"),
            Mixture.<InstructionRecord>builder()
                .add(source, 1)
                .until(Mixture.Until.ALL_ONCE)
                .build(),
            source.map(record -> record))) {
      DataReport report = leaveOut(0.2).source(derived).build().report();
      assertThat(report.examples()).isEqualTo(5);
      assertThat(report.badRecords()).extracting(BadRecord::line).containsExactly(2);
    }
  }

  @Test
  void namesFieldsWithoutAMeaningOnce() throws IOException {
    Path instructions =
        file(
            "a.jsonl",
            "{\"id\": 1, \"instruction\": \"i\", \"output\": \"o\"}",
            "{\"id\": 2, \"text\": \"t\", \"instruction\": \"i\", \"output\": \"o\"}");
    assertThat(
            SupervisedDataset.builder()
                .tokenizer(tokenizer)
                .jsonl(instructions)
                .build()
                .report()
                .unusedFields())
        .containsExactly("id", "text");

    Path conversations =
        file(
            "b.jsonl",
            "{\"conversations\": [{\"from\": \"human\", \"value\": \"a\", \"markdown\": 1}, {\"from\":"
                + " \"gpt\", \"value\": \"b\", \"markdown\": 2}], \"id\": \"x\", \"system\": \"\"}");
    assertThat(
            SupervisedDataset.conversations()
                .tokenizer(tokenizer)
                .chatMl(ChatMlPreprocessor.LabelMask.ASSISTANT)
                .file(conversations)
                .build()
                .report()
                .unusedFields())
        .containsExactly("id", "conversations[].markdown");

    assertThat(
            SupervisedDataset.builder()
                .tokenizer(tokenizer)
                .source(
                    DataFile.jsonl(instructions)
                        .filter(record -> record.value("id") != null)
                        .map(InstructionReader.alpaca()))
                .build()
                .report()
                .unusedFields())
        .containsExactly("text");
  }

  @Test
  void theCacheKeepsTheReportAndDependsOnThePolicy() throws IOException {
    Path file = file("a.jsonl", GOOD, "{\"id\": 1}", GOOD);
    Path cache = folder.resolve("cache");

    DataReport first = leaveOut(0.5).jsonl(file).cache(cache).build().report();
    DataReport second = leaveOut(0.5).jsonl(file).cache(cache).build().report();

    assertThat(second).isEqualTo(first);
    assertThat(first.badRecords()).hasSize(1);
    assertThatThrownBy(
            () -> SupervisedDataset.builder().tokenizer(tokenizer).jsonl(file).cache(cache).build())
        .hasMessageContaining("line 2");
  }

  @Test
  void leavesOutAdgensNullsAsTheOriginal() throws IOException {
    Path file =
        file(
            "a.jsonl",
            "{\"content\": \"c\", \"summary\": null}",
            "{\"content\": \"c\", \"summary\": \"s\"}",
            "{\"content\": null, \"summary\": \"s\"}");

    DataReport report = SupervisedDataset.adgen().tokenizer(tokenizer).jsonl(file).build().report();

    assertThat(report.examples()).isEqualTo(1);
    assertThat(report.fullyMasked()).containsExactly(0, 2);
  }

  @Test
  void takesNumbersAndBooleansAsTrainPyDoes() throws IOException {
    Path file =
        file(
            "a.jsonl",
            "{\"instruction\": 7, \"input\": 1.50, \"output\": true}",
            "{\"instruction\": 1e22, \"input\": null, \"output\": 123456789012345678901}");

    assertThat(InstructionReader.readJsonl(file))
        .containsExactly(
            new InstructionRecord("7", "1.5", "True"),
            InstructionRecord.of("1e+22", "123456789012345678901"));
  }
}
