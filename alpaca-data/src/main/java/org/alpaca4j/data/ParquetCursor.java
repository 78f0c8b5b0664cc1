package org.alpaca4j.data;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.apache.parquet.ParquetRuntimeException;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.format.FileMetaData;
import org.apache.parquet.format.RowGroup;
import org.apache.parquet.format.Util;
import org.jspecify.annotations.Nullable;

/**
 * The rows of a Parquet file. The footer and the pages' headers are read by
 * parquet-format-structures and the pages by parquet-column; only what lies between them, which
 * parquet-hadoop does with Hadoop, is done here: page by page, so that memory does not grow with
 * the row groups, and only of the columns that are asked for.
 */
final class ParquetCursor implements RecordCursor {

  private static final int MAGIC = 0x31524150; // PAR1
  private static final int MAX_FOOTER_BYTES = 1 << 27;

  private final Path file;
  private final FileChannel channel;
  private final FileMetaData footer;
  private final ParquetSchema schema;
  private final List<String> columns;

  private int nextGroup;
  private int row;
  private long rowsLeft;
  private int index;
  private @Nullable ParquetRowGroup rows;

  ParquetCursor(Path file) throws IOException {
    DataInput.requireFile(file);
    this.file = file;
    this.channel = FileChannel.open(file, StandardOpenOption.READ);
    try {
      this.footer = footer();
      this.schema = new ParquetSchema(footer.getSchema());
      this.columns =
          schema.messageType().getFields().stream().map(field -> field.getName()).toList();
    } catch (ParquetException
        | ParquetRuntimeException
        | IllegalArgumentException
        | NullPointerException e) {
      channel.close();
      throw damaged(index, e);
    } catch (IOException | DataException e) {
      channel.close();
      throw e;
    }
  }

  private FileMetaData footer() throws IOException {
    long size = channel.size();
    if (size < 12 || read(0, 4).getInt() != MAGIC) {
      throw new DataException(file + ": is no Parquet file: it does not begin with PAR1");
    }
    ByteBuffer end = read(size - 8, 8);
    int length = end.getInt();
    if (end.getInt() != MAGIC) {
      throw new DataException(
          file + ": is cut off or encrypted: a Parquet file ends with PAR1, this one does not");
    }
    if (length <= 0 || length > Math.min(size - 12, MAX_FOOTER_BYTES)) {
      throw new DataException(file + ": is damaged: its footer cannot have " + length + " bytes");
    }
    try {
      return Util.readFileMetaData(
          new ByteArrayInputStream(read(size - 8 - length, length).array()));
    } catch (IOException e) {
      throw new DataException(file + ": is damaged: its footer is not readable", e);
    }
  }

  private ByteBuffer read(long position, int length) throws IOException {
    return ChannelBytes.read(channel, position, length);
  }

  @Override
  public @Nullable DataRecord next() {
    try {
      while (rowsLeft == 0) {
        if (nextGroup == footer.getRow_groups().size()) {
          return null;
        }
        RowGroup group = footer.getRow_groups().get(nextGroup++);
        rowsLeft = Math.max(0, group.getNum_rows());
        row = 0;
        rows =
            new ParquetRowGroup(file, channel, group, schema.messageType(), footer.getCreated_by());
      }
      rowsLeft--;
      Map<String, DataRecord.Field> fields = new LinkedHashMap<>();
      for (int f = 0; f < columns.size(); f++) {
        fields.put(columns.get(f), new Field(Objects.requireNonNull(rows), row, f));
      }
      row++;
      return new DataRecord(file, index++, 0, fields, columns);
    } catch (NullPointerException e) { // what a damaged footer lacks
      throw damaged(index, e);
    }
  }

  private DataException damaged(int record, RuntimeException e) {
    return new DataException(
        DataRecord.place(file, 0, record, null)
            + (e instanceof ParquetException
                ? ": is damaged: " + e.getMessage()
                : ": is damaged, or written in a way that is not supported; write it anew"),
        e);
  }

  /** Read and made into a plain value when somebody asks for it. */
  private final class Field extends DataRecord.Field {
    private final ParquetRowGroup rows;
    private final int row;
    private final int column;

    Field(ParquetRowGroup rows, int row, int column) {
      super(null, 0);
      this.rows = rows;
      this.row = row;
      this.column = column;
    }

    @Override
    @Nullable Object value(DataRecord record, String name) {
      Group value = group(record, name);
      try {
        return schema.value(value, 0);
      } catch (ParquetException e) {
        throw DataRecord.error(file, 0, record.index(), name, String.valueOf(e.getMessage()), e);
      } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
        throw damaged(record.index(), e);
      }
    }

    private Group group(DataRecord record, String name) {
      try {
        return rows.value(row, column);
      } catch (ParquetException
          | ParquetRuntimeException
          | IllegalArgumentException
          | IndexOutOfBoundsException
          | NullPointerException
          | UnsupportedOperationException e) {
        throw damaged(record.index(), e);
      } catch (IOException | UncheckedIOException e) {
        throw new DataException(
            DataRecord.place(file, 0, record.index(), name) + ": cannot be read: " + e.getMessage(),
            e);
      }
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
