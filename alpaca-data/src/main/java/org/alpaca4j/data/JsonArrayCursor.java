package org.alpaca4j.data;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** The objects of a file that is one JSON array. */
final class JsonArrayCursor implements RecordCursor {

  private final Path file;
  private final JsonParser parser;
  private final JsonObjectParser objects;
  private int index = -1;
  private boolean ended;

  JsonArrayCursor(Path file, InputStream in) throws IOException {
    this.file = file;
    this.parser = JsonObjectParser.JSON.createParser(in);
    this.objects = new JsonObjectParser(file, parser, 0);
  }

  @Override
  public @Nullable DataRecord next() throws IOException {
    if (ended) {
      return null;
    }
    if (index < 0) {
      begin();
    }
    try {
      JsonToken token = objects.next(index);
      if (token != JsonToken.END_ARRAY) {
        return objects.object(index++);
      }
    } catch (RecordException e) {
      if (e.getCause() instanceof JsonProcessingException) {
        throw new DataException(e.record().toString(), e); // the rest of the array cannot be read
      }
      leaveRecord();
      throw e;
    }
    ended = true;
    boolean more;
    try {
      more = parser.nextToken() != null;
    } catch (JsonProcessingException e) {
      more = true; // no JSON, and no matter
    }
    if (more) {
      throw DataRecord.error(
          file, parser.currentLocation().getLineNr(), -1, null, "text after the end of the array");
    }
    return null;
  }

  /** Moves on to the end of a record that was read in part. */
  private void leaveRecord() throws IOException {
    try {
      while (!parser.getParsingContext().getParent().inRoot()) {
        parser.nextToken();
      }
    } catch (JsonProcessingException e) {
      throw new DataException(String.valueOf(objects.unreadable(e, index - 1).getMessage()), e);
    }
  }

  private void begin() throws IOException {
    JsonToken first = objects.next(-1);
    if (first == null) {
      throw new DataException(file + ": is empty; expected a JSON array of records");
    }
    if (first != JsonToken.START_ARRAY) {
      throw DataRecord.error(
          file,
          parser.currentTokenLocation().getLineNr(),
          -1,
          null,
          "expected a JSON array of records, found "
              + (first == JsonToken.START_OBJECT
                  ? "an object; a file with one object per line is read with jsonl(...)"
                  : parser.getText()));
    }
    index = 0;
  }

  @Override
  public void close() throws IOException {
    parser.close();
  }
}
