package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.airlift.compress.zstd.ZstdOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import org.alpaca4j.core.ChatMessage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DataFileTest {

  private static final String RECORD = "{\"instruction\": \"a\", \"output\": \"b\"}";

  @TempDir Path folder;

  @Test
  void readsPackedFilesByTheirMagic() throws IOException {
    Path gzip = folder.resolve("data.jsonl.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(gzip))) {
      out.write((RECORD + "\n").getBytes(StandardCharsets.UTF_8));
    }
    Path zstd = folder.resolve("data.json.zst");
    try (OutputStream out = new ZstdOutputStream(Files.newOutputStream(zstd))) {
      out.write(("\uFEFF[" + RECORD + "]").getBytes(StandardCharsets.UTF_8));
    }

    assertThat(maps(DataFile.detect(gzip)))
        .containsExactly(Map.of("instruction", "a", "output", "b"));
    assertThat(maps(DataFile.detect(zstd)))
        .containsExactly(Map.of("instruction", "a", "output", "b"));
  }

  @Test
  void refusesAFileThatIsNotPackedAsItsNameSays() throws IOException {
    Path file = file("data.jsonl.gz", RECORD);

    assertThatThrownBy(() -> DataFile.detect(file))
        .isInstanceOf(DataException.class)
        .hasMessage(file + ": is not packed as its name says; rename it, or pack it again");
  }

  @Test
  void saysThatAPackedFileIsDamaged() throws IOException {
    Path zstd = folder.resolve("data.jsonl.zst");
    try (OutputStream out = new ZstdOutputStream(Files.newOutputStream(zstd))) {
      out.write(RECORD.repeat(1000).getBytes(StandardCharsets.UTF_8));
    }
    byte[] bytes = Files.readAllBytes(zstd);
    Files.write(zstd, Arrays.copyOf(bytes, bytes.length / 2));

    assertThatThrownBy(() -> maps(DataFile.jsonl(zstd)))
        .isInstanceOf(DataException.class)
        .hasMessageContaining("cannot be read");
  }

  @Test
  void readsRowsWithQuotesLineEndsAndDoubledQuotes() throws IOException {
    Path file = file("data.csv", "\uFEFFa,b\r\n1,\"x,\r\n\"\"y\"\"\"\r\n\r\n,\n\" \",é\u2028");

    assertThat(maps(DataFile.csv(file)))
        .containsExactly(
            Map.of("a", "1", "b", "x,\r\n\"y\""),
            Map.of("a", "", "b", ""),
            Map.of("a", " ", "b", "é\u2028"));
  }

  @Test
  void namesTheLineAndColumnOfAFaultyRow() throws IOException {
    Path text = file("a.csv", "a,b\n\"1\n2\",\"3\"4\n");
    assertThatThrownBy(() -> maps(DataFile.csv(text)))
        .hasMessage(
            text
                + ", line 3, record 0, field \"b\": has text after its closing quote; a quote within"
                + " a field is written twice");

    Path wide = file("b.csv", "a,b\n1,2\n1,2,3\n");
    assertThatThrownBy(() -> maps(DataFile.csv(wide)))
        .hasMessageStartingWith(wide + ", line 3, record 1: has 3 fields, the header 2");

    Path missing = file("c.csv", "a,b\n1,2\n");
    assertThatThrownBy(() -> maps(DataFile.csv(missing).map(InstructionReader.alpaca())))
        .hasMessage(
            missing
                + ", line 1, field \"instruction\": there is no such column; the columns are a, b");
  }

  @Test
  void readsLinesThatEndAtLoneCarriageReturns() throws IOException {
    Path file = file("data.csv", "a,b\r1,\"x\ry\"\r\r2,z");

    assertThat(maps(DataFile.csv(file)))
        .containsExactly(Map.of("a", "1", "b", "x\ry"), Map.of("a", "2", "b", "z"));
    Path faulty = file("faulty.csv", "a,b\r\"1\r2\",\"3\"4\r");
    assertThatThrownBy(() -> maps(DataFile.csv(faulty)))
        .hasMessageStartingWith(faulty + ", line 3, record 0, field \"b\": has text after");
  }

  @Test
  void namesNamelessColumnsByTheirPlace() throws IOException {
    Path file = file("data.csv", ",instruction,output,\n0,a,b,\n");

    assertThat(maps(DataFile.csv(file)))
        .containsExactly(
            Map.of("column 1", "0", "instruction", "a", "output", "b", "column 4", ""));
  }

  @Test
  void readsJsonLinesInAFileCalledJson() throws IOException {
    Path file = file("data.json", RECORD + "\n" + RECORD + "\n");

    assertThat(DetectedFormat.of(file).format()).isEqualTo(DataFormat.JSONL);
    assertThat(maps(DataFile.detect(file))).hasSize(2);
    assertThat(maps(DataFile.detect(file("one.json", RECORD)))).hasSize(1);
    Path pretty = file("pretty.json", "{\n \"instruction\": \"a\",\n \"output\": \"b\"\n}\n");
    assertThatThrownBy(() -> DataFile.detect(pretty))
        .hasMessageStartingWith(
            pretty + ", line 1: begins with an object that does not end on its line");
  }

  @Test
  void callsAPointerOrAPageInPlaceOfDataThat() throws IOException {
    Path pointer = file("a.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
    Path page = file("b.json", "<!DOCTYPE html>\n<html></html>");

    assertThatThrownBy(() -> DataFile.detect(pointer)).hasMessageContaining("is a git-LFS pointer");
    assertThatThrownBy(() -> maps(DataFile.csv(page))).hasMessageContaining("is an HTML page");
    Path parquet = file("c.parquet", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
    assertThatThrownBy(() -> DataFile.detect(parquet)).hasMessageContaining("git-LFS pointer");
    assertThatThrownBy(() -> maps(DataFile.parquet(parquet)))
        .hasMessageContaining("git-LFS pointer");
  }

  @Test
  void saysInPlainWordsThatJsonIsNested() throws IOException {
    Path file = file("a.jsonl", "{\"a\": " + "[".repeat(300) + "\n");

    assertThatThrownBy(() -> maps(DataFile.jsonl(file)))
        .hasMessageStartingWith(file + ", line 1, record 0, field \"a")
        .hasMessageEndingWith(": not readable as JSON: is nested deeper than 200");
  }

  @Test
  void takesAnotherSeparator() throws IOException {
    Path file = file("data.tsv", "a\tb\n1,5\t2\n");

    assertThat(maps(DataFile.csv(file, '\t'))).containsExactly(Map.of("a", "1,5", "b", "2"));
  }

  @Test
  void readsParquetWithNestedValues() throws Exception {
    Path file = Path.of(getClass().getResource("/parquet/messages.parquet").toURI());

    assertThat(DetectedFormat.of(file).layout()).isEqualTo(RecordLayout.MESSAGES);
    try (Stream<DataRecord> records = DataFile.parquet(file).stream()) {
      List<DataRecord> all = records.toList();
      assertThat(ConversationReader.messages().apply(all.get(0)))
          .isEqualTo(Conversation.of(ChatMessage.user("Hi"), ChatMessage.assistant("你好")));
      assertThat(all.get(0).value("score")).isEqualTo(1.5);
      assertThat(all.get(0).value("kept")).isEqualTo(true);
      assertThat(all.get(0).line()).isZero();
      assertThat(all.get(1).value("score")).isNull();
      assertThat(all.get(1).value("id")).isEqualTo(2L);
      assertThatThrownBy(() -> ConversationReader.messages().apply(all.get(1)))
          .hasMessage(
              file + ", record 1, field \"messages[0].content\": expected a string, found null");
      assertThatThrownBy(() -> all.get(1).object("score"))
          .hasMessageContaining("expected an object, found null");
    }
  }

  @Test
  void refusesAFieldThatStandsTwiceAtAnyDepth() throws IOException {
    Path file = file("data.jsonl", "{\"a\": [{\"b\": 1, \"b\": 2}]}\n");

    assertThatThrownBy(() -> maps(DataFile.jsonl(file)))
        .hasMessage(file + ", line 1, record 0, field \"a[0].b\": stands twice in one object");
  }

  @Test
  void startsAgainWithEachStreamAndClosesTheFile() throws IOException {
    Path file = file("data.jsonl", RECORD + "\n" + RECORD + "\n");
    RecordSource<DataRecord> source = DataFile.jsonl(file);

    for (int pass = 0; pass < 2; pass++) {
      assertThat(maps(source)).hasSize(2);
    }
    try (Stream<DataRecord> records = source.stream()) {
      assertThat(records.iterator().next().index()).isZero();
    }
    Files.delete(file);
    assertThatThrownBy(source::stream).hasMessage(file + ": does not exist");
  }

  @Test
  void readsALargeArrayOneByOne() throws IOException {
    Path file = folder.resolve("large.json.gz");
    byte[] part = ("\n" + RECORD + ",").repeat(1 << 15).getBytes(StandardCharsets.UTF_8);
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
      out.write('[');
      for (int i = 0; i < 16; i++) {
        out.write(part);
      }
      out.write(RECORD.getBytes(StandardCharsets.UTF_8));
      out.write(']');
    }
    int count = 0;
    try (Stream<DataRecord> records = DataFile.json(file).stream()) {
      DataRecord last = null;
      for (Iterator<DataRecord> it = records.iterator(); it.hasNext(); count++) {
        last = it.next();
      }
      assertThat(last.index()).isEqualTo(16 << 15);
    }
    assertThat(count).isEqualTo((16 << 15) + 1);
  }

  @ParameterizedTest
  @CsvSource({
    "a.json, '[{\"instruction\": \"a\", \"output\": \"b\"}]', JSON, ALPACA",
    "a.jsonl, '{\"messages\": []}', JSONL, MESSAGES",
    "a.txt, '{\"conversations\": []}', JSONL, SHARE_GPT",
    "a, ' [{\"content\": \"a\", \"summary\": \"b\"}]', JSON, ADGEN",
    "a.ndjson, '{\"code\": \"a\", \"api_call\": \"b\"}', JSONL, API_BENCH",
    "a.csv, 'instruction,output\n1,2', CSV, ALPACA",
  })
  void detectsFormatAndLayout(String name, String text, DataFormat format, RecordLayout layout)
      throws IOException {
    DetectedFormat found = DetectedFormat.of(file(name, text));

    assertThat(found.format()).isEqualTo(format);
    assertThat(found.layout()).isEqualTo(layout);
    assertThat(found.explanation())
        .contains(name, "by its first characters", layout.fields().get(0));
  }

  @Test
  void saysWhatToCallWhereNameAndContentsDiffer() throws IOException {
    Path file = file("a.jsonl", "[\n" + RECORD + "]");

    assertThatThrownBy(() -> DetectedFormat.of(file))
        .isInstanceOf(DataException.class)
        .hasMessage(
            file
                + ", line 1: is named as JSON lines, but begins like a JSON array; rename it, or say"
                + " what it is by json(...)");
  }

  @Test
  void saysWhatToCallWhereTheLayoutIsAmbiguousOrUnknown() throws IOException {
    Path both = file("a.jsonl", "{\"instruction\": \"a\", \"output\": \"b\", \"messages\": []}\n");
    assertThatThrownBy(() -> DetectedFormat.of(both))
        .hasMessageContaining("those of Stanford Alpaca and of OpenAI messages")
        .hasMessageContaining("InstructionReader.fields(...), ConversationReader.messages(...)");

    Path none = file("b.jsonl", "{\"question\": \"a\", \"answer\": \"b\"}\n");
    assertThatThrownBy(() -> DetectedFormat.of(none))
        .hasMessageContaining("the first record has the fields question, answer")
        .hasMessageContaining("Stanford Alpaca (instruction, output)");

    Path text = file("c.txt", "hello");
    assertThatThrownBy(() -> DetectedFormat.of(text)).hasMessageContaining("begins with \"hello\"");
  }

  @Test
  void readsShareGptAndRefusesUnknownSpeakers() throws IOException {
    Path file =
        file(
            "a.json",
            "[{\"conversations\": [{\"from\": \"human\", \"value\": \"a\"}, {\"from\": \"gpt\","
                + " \"value\": \"b\"}]}]");
    assertThat(DataFile.json(file).map(ConversationReader.shareGpt()).stream().toList())
        .containsExactly(Conversation.of(ChatMessage.user("a"), ChatMessage.assistant("b")));

    Path other = file("b.jsonl", "{\"conversations\": [{\"from\": \"robot\", \"value\": \"a\"}]}");
    assertThatThrownBy(
            () -> DataFile.jsonl(other).map(ConversationReader.shareGpt()).stream().toList())
        .hasMessageStartingWith(
            other
                + ", line 1, record 0, field \"conversations[0].from\": unknown speaker \"robot\";"
                + " known are assistant,");
  }

  @Test
  void readsAdgenWithHistory() throws IOException {
    Path file =
        file(
            "a.jsonl",
            "{\"content\": \"c\", \"summary\": \"s\", \"history\": [[\"q\", \"a\"]]}\n"
                + "{\"content\": \"c\", \"summary\": \"s\", \"history\": [[\"q\"]]}");

    assertThat(DataFile.jsonl(file).limit(1).map(AdgenReader.adgen()).stream().toList())
        .containsExactly(new AdgenRecord("c", "s", List.of(new AdgenRecord.Round("q", "a"))));
    assertThatThrownBy(() -> DataFile.jsonl(file).map(AdgenReader.adgen()).stream().toList())
        .hasMessageStartingWith(file + ", line 2, record 1, field \"history[0]\": expected");
  }

  private static List<Map<String, Object>> maps(RecordSource<?> source) {
    try (Stream<?> records = source.stream()) {
      return records.map(record -> ((DataRecord) record).toMap()).toList();
    }
  }

  private Path file(String name, String text) throws IOException {
    return Files.writeString(folder.resolve(name), text);
  }
}
