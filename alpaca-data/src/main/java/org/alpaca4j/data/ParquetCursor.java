package org.alpaca4j.data;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.parquet.ParquetRuntimeException;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.page.PageReadStore;
import org.apache.parquet.column.page.PageReader;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.convert.GroupRecordConverter;
import org.apache.parquet.format.ColumnChunk;
import org.apache.parquet.format.FileMetaData;
import org.apache.parquet.format.RowGroup;
import org.apache.parquet.format.Util;
import org.apache.parquet.io.ColumnIOFactory;
import org.apache.parquet.io.RecordReader;
import org.jspecify.annotations.Nullable;

/**
 * The rows of a Parquet file. The footer and the pages' headers are read by
 * parquet-format-structures and the pages by parquet-column; only what lies between them, which
 * parquet-hadoop does with Hadoop, is done here: page by page, so that memory does not grow with
 * the row groups.
 */
final class ParquetCursor implements RecordCursor {

  private static final int MAGIC = 0x31524150; // PAR1
  private static final int MAX_FOOTER_BYTES = 1 << 27;

  private final Path file;
  private final FileChannel channel;
  private final FileMetaData footer;
  private final ParquetSchema schema;
  private final List<String> columns;

  private int rowGroup;
  private long rowsLeft;
  private int index;
  private @Nullable RecordReader<Group> rows;

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
      throw damaged(e);
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
  public @Nullable DataRecord next() throws IOException {
    try {
      while (rowsLeft == 0) {
        if (rowGroup == footer.getRow_groups().size()) {
          return null;
        }
        RowGroup group = footer.getRow_groups().get(rowGroup++);
        if (group.getNum_rows() > 0) {
          open(group);
        }
      }
      rowsLeft--;
      Group row = rows == null ? null : rows.read();
      if (row == null) {
        throw new DataException(file + ": is damaged: it has fewer rows than its footer says");
      }
      Map<String, DataRecord.Field> fields = new LinkedHashMap<>();
      for (int f = 0; f < columns.size(); f++) {
        fields.put(columns.get(f), new Field(row, f));
      }
      return new DataRecord(file, index++, 0, fields, columns);
    } catch (ParquetException
        | ParquetRuntimeException
        | IllegalArgumentException
        | IndexOutOfBoundsException
        | NullPointerException
        | UnsupportedOperationException e) {
      throw damaged(e);
    }
  }

  private DataException damaged(RuntimeException e) {
    return new DataException(
        DataRecord.place(file, 0, index, null)
            + (e instanceof ParquetException
                ? ": is damaged: " + e.getMessage()
                : ": is damaged, or written in a way that is not supported; write it anew"),
        e);
  }

  /** Made into a plain value when somebody asks for it: nobody need ask for what is not read. */
  private final class Field extends DataRecord.Field {
    private final Group row;
    private final int column;

    Field(Group row, int column) {
      super(null, 0);
      this.row = row;
      this.column = column;
    }

    @Override
    @Nullable Object value(DataRecord record, String name) {
      try {
        return schema.value(row, column);
      } catch (ParquetException e) {
        throw DataRecord.error(file, 0, record.index(), name, String.valueOf(e.getMessage()), e);
      }
    }
  }

  private void open(RowGroup group) throws IOException {
    Map<List<String>, PageReader> pages = new HashMap<>();
    for (ColumnChunk chunk : group.getColumns()) {
      pages.put(
          chunk.getMeta_data().getPath_in_schema(),
          new ParquetPages(file, channel, chunk.getMeta_data()));
    }
    rowsLeft = group.getNum_rows();
    rows =
        new ColumnIOFactory(footer.getCreated_by())
            .getColumnIO(schema.messageType())
            .getRecordReader(
                new RowGroupPages(pages, rowsLeft), new GroupRecordConverter(schema.messageType()));
  }

  private record RowGroupPages(Map<List<String>, PageReader> pages, long rowCount)
      implements PageReadStore {
    @Override
    public PageReader getPageReader(ColumnDescriptor column) {
      PageReader reader = pages.get(List.of(column.getPath()));
      if (reader == null) {
        throw new ParquetException(
            "a row group lacks the column " + String.join(".", column.getPath()));
      }
      return reader;
    }

    @Override
    public long getRowCount() {
      return rowCount;
    }
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }
}
