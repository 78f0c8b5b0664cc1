package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.alpaca4j.core.ChatMessage;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ParquetFileTest {

  @TempDir Path folder;

  private static Path resource(String name) throws Exception {
    return Path.of(ParquetFileTest.class.getResource("/parquet/" + name).toURI());
  }

  private static <R> List<R> all(RecordSource<R> source) {
    try (Stream<R> records = source.stream()) {
      return records.toList();
    }
  }

  @Test
  void readsPastEmptyRowGroups() throws Exception {
    assertThat(
            all(DataFile.parquet(resource("empty-groups.parquet")).map(InstructionReader.alpaca())))
        .extracting(InstructionRecord::output)
        .containsExactly("o0", "o1", "o2", "o3", "o4", "o5");
  }

  @Test
  void doesNotDecodeColumnsThatNobodyAskedFor() throws Exception {
    assertThat(all(DataFile.parquet(resource("types.parquet")).map(InstructionReader.alpaca())))
        .containsExactly(InstructionRecord.of("a", "x"), InstructionRecord.of("b", "y"));
  }

  @Test
  void readsUnsignedNumbersAndMaps() throws Exception {
    DataRecord first = all(DataFile.parquet(resource("types.parquet"))).get(0);

    assertThat(first.value("unsigned")).isEqualTo(4000000000L);
    assertThat(first.value("unsigned_long")).isEqualTo(new BigInteger("18446744073709551615"));
    assertThat(first.value("score")).isEqualTo(1);
    assertThat(first.value("map")).isEqualTo(Map.of("k", "v"));
  }

  @ParameterizedTest
  @CsvSource({
    "hash, holds bytes that are no UTF-8 text",
    "price, 'is of Parquet''s type DECIMAL, which is not read'",
    "day, 'is of Parquet''s type DATE, which is not read'",
    "time, 'is of Parquet''s type INT96, which is not read'",
  })
  void refusesByNameAColumnThatIsNotRead(String column, String message) throws Exception {
    Path file = resource("types.parquet");

    assertThatThrownBy(() -> all(DataFile.parquet(file).map(record -> record.text(column))))
        .isInstanceOf(DataException.class)
        .hasMessageStartingWith(
            file + ", record 0, field \"" + column + "\": " + column + " " + message);
  }

  @Test
  void readsConversationsWhoseMessagesHaveAllFields() throws Exception {
    Conversation conversation =
        all(DataFile.parquet(resource("tools.parquet")).map(ConversationReader.messages())).get(0);

    assertThat(conversation.tools()).containsExactly(Map.of("name", "f"));
    assertThat(conversation.messages())
        .containsExactly(
            ChatMessage.system("s"),
            ChatMessage.user("q"),
            ChatMessage.ofMap(
                Map.of(
                    "role",
                    "assistant",
                    "tool_calls",
                    List.of(Map.of("function", Map.of("name", "f", "arguments", Map.of("a", 1)))),
                    "weight",
                    0.5)));
  }

  @Test
  void saysThatAFileIsDamagedInItsOwnWords() throws Exception {
    byte[] bytes = Files.readAllBytes(resource("types.parquet"));
    for (int at = 4; at < bytes.length - 8; at += 7) {
      byte[] damaged = bytes.clone();
      damaged[at] ^= 0x5A;
      Path file = Files.write(folder.resolve("damaged.parquet"), damaged);
      try {
        all(DataFile.parquet(file).map(DataRecord::names));
      } catch (DataException e) {
        assertThat(e.getMessage())
            .startsWith(file.toString())
            .doesNotContain("Required field", "Standard", "org.apache", "TProtocol", "Thrift");
      }
    }
  }
}
