package org.alpaca4j.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.alpaca4j.core.ChatMessage;
import org.apache.parquet.format.ColumnChunk;
import org.apache.parquet.format.ColumnMetaData;
import org.apache.parquet.format.RowGroup;
import org.apache.parquet.format.Util;
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

  private static List<Object> values(DataRecord record) {
    return record.names().stream()
        .filter(name -> !List.of("hash", "price", "day", "time").contains(name))
        .map(record::value)
        .toList();
  }

  @Test
  void doesNotEvenReadColumnsThatNobodyAskedFor() throws Exception {
    byte[] bytes = Files.readAllBytes(resource("types.parquet"));
    ByteBuffer end = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    int footer = bytes.length - 8 - end.getInt(bytes.length - 8);
    for (RowGroup group :
        Util.readFileMetaData(new ByteArrayInputStream(bytes, footer, bytes.length - footer))
            .getRow_groups()) {
      for (ColumnChunk chunk : group.getColumns()) {
        ColumnMetaData column = chunk.getMeta_data();
        if (column.getPath_in_schema().get(0).equals("hash")) {
          int from = (int) column.getData_page_offset();
          Arrays.fill(bytes, from, from + (int) column.getTotal_compressed_size() / 2, (byte) 0xFF);
        }
      }
    }
    Path file = Files.write(folder.resolve("damaged.parquet"), bytes);

    assertThat(all(DataFile.parquet(file).map(InstructionReader.alpaca())))
        .containsExactly(InstructionRecord.of("a", "x"), InstructionRecord.of("b", "y"));
    assertThatThrownBy(() -> all(DataFile.parquet(file).map(record -> record.value("hash"))))
        .isInstanceOf(DataException.class)
        .hasMessageStartingWith(file + ", record 0");
  }

  @Test
  void readsValuesInAnyOrderAndAfterTheFileIsClosed() throws Exception {
    RecordSource<DataRecord> source = DataFile.parquet(resource("empty-groups.parquet"));
    List<List<Object>> inOrder = all(source.map(ParquetFileTest::values));

    List<DataRecord> records = all(source);
    for (int i = records.size() - 1; i >= 0; i--) {
      assertThat(values(records.get(i))).isEqualTo(inOrder.get(i));
    }
    Iterator<List<Object>> expected = inOrder.iterator();
    List<DataRecord> asked = new ArrayList<>();
    all(
        source.map(
            record -> {
              asked.add(record);
              assertThat(values(record)).isEqualTo(expected.next());
              assertThat(values(asked.get(0))).isEqualTo(inOrder.get(0));
              return values(record);
            }));
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
        all(DataFile.parquet(file).map(ParquetFileTest::values));
      } catch (DataException e) {
        assertThat(e.getMessage())
            .startsWith(file.toString())
            .doesNotContain("Required field", "Standard", "org.apache", "TProtocol", "Thrift");
      }
    }
  }
}
