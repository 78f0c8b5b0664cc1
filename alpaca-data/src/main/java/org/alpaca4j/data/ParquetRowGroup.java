package org.alpaca4j.data;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.column.page.PageReadStore;
import org.apache.parquet.column.page.PageReader;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.convert.GroupRecordConverter;
import org.apache.parquet.format.ColumnChunk;
import org.apache.parquet.format.RowGroup;
import org.apache.parquet.io.ColumnIOFactory;
import org.apache.parquet.io.RecordReader;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.Type;
import org.jspecify.annotations.Nullable;

/**
 * The rows of a row group, column by column: one that nobody asks for is neither read nor unpacked.
 * Rows asked for in their order are read page by page. Who goes back, or asks when the file is
 * closed, has the column read anew, and kept as a whole.
 */
final class ParquetRowGroup {
  private final Path file;
  private final FileChannel channel;
  private final RowGroup group;
  private final MessageType schema;
  private final @Nullable String createdBy;
  private final Column[] columns;

  /** What was read of a column. */
  private static final class Column {
    private @Nullable RecordReader<Group> reader;
    private int next;
    private @Nullable Group last;
    private Group @Nullable [] all;
  }

  ParquetRowGroup(
      Path file,
      FileChannel channel,
      RowGroup group,
      MessageType schema,
      @Nullable String createdBy) {
    this.file = file;
    this.channel = channel;
    this.group = group;
    this.schema = schema;
    this.createdBy = createdBy;
    this.columns = new Column[schema.getFieldCount()];
  }

  /** Returns a row as a group of one field. */
  synchronized Group value(int row, int index) throws IOException {
    Column column = columns[index];
    if (column == null) {
      column = columns[index] = new Column();
    }
    if (column.all == null && (row < column.next - 1 || !channel.isOpen())) {
      column.all = all(index);
      column.reader = null;
    }
    if (column.all != null) {
      return column.all[row];
    }
    if (column.reader == null) {
      column.reader = reader(channel, index);
    }
    Group last = column.last;
    while (last == null || column.next <= row) {
      last = read(column.reader);
      column.next++;
    }
    column.last = last;
    return last;
  }

  private Group[] all(int index) throws IOException {
    try (FileChannel again = FileChannel.open(file, StandardOpenOption.READ)) {
      RecordReader<Group> reader = reader(again, index);
      Group[] rows = new Group[Math.toIntExact(group.getNum_rows())];
      for (int row = 0; row < rows.length; row++) {
        rows[row] = read(reader);
      }
      return rows;
    }
  }

  private static Group read(RecordReader<Group> reader) {
    Group row = reader.read();
    if (row == null) {
      throw new ParquetException("it has fewer rows than its footer says");
    }
    return row;
  }

  private RecordReader<Group> reader(FileChannel from, int index) {
    Type field = schema.getType(index);
    Map<List<String>, PageReader> pages = new HashMap<>();
    for (ColumnChunk chunk : group.getColumns()) {
      List<String> path = chunk.getMeta_data().getPath_in_schema();
      if (path.get(0).equals(field.getName())) {
        pages.put(path, new ParquetPages(file, from, chunk.getMeta_data()));
      }
    }
    MessageType alone = new MessageType(schema.getName(), field);
    return new ColumnIOFactory(createdBy)
        .getColumnIO(alone)
        .getRecordReader(new Pages(pages, group.getNum_rows()), new GroupRecordConverter(alone));
  }

  private record Pages(Map<List<String>, PageReader> pages, long rowCount)
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
}
