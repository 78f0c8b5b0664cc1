package org.alpaca4j.data.gorilla;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MappingIterator;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.data.DataException;
import org.jspecify.annotations.Nullable;

/**
 * Reads APIBench's files: one JSON object per line with {@code code}, {@code api_call}, {@code
 * provider} and {@code api_data}. Where {@code api_call} is missing, the one in {@code api_data}
 * stands for it.
 */
public final class ApiBenchReader {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final TypeReference<LinkedHashMap<String, @Nullable Object>> MAP =
      new TypeReference<>() {};

  private ApiBenchReader() {}

  /**
   * Reads all records of a file.
   *
   * @throws DataException if the file is not of that form, naming line and field
   */
  public static List<ApiBenchRecord> readJsonl(Path file) {
    if (!Files.isRegularFile(file)) {
      throw new DataException(file + ": does not exist, or is not a file");
    }
    List<ApiBenchRecord> records = new ArrayList<>();
    try (MappingIterator<JsonNode> nodes =
        JSON.readerFor(JsonNode.class).readValues(file.toFile())) {
      while (nodes.hasNextValue()) {
        int line = nodes.getParser().currentTokenLocation().getLineNr();
        JsonNode node = nodes.nextValue();
        records.add(record(new Place(file, line), node));
      }
    } catch (JsonProcessingException e) {
      int line = e.getLocation() == null ? 0 : e.getLocation().getLineNr();
      throw new DataException(
          new Place(file, line) + ": not readable as JSON: " + e.getOriginalMessage(), e);
    } catch (IOException e) {
      throw new DataException(file + ": cannot be read: " + e.getMessage(), e);
    }
    return records;
  }

  private record Place(Path file, int line) {
    @Override
    public String toString() {
      return file + ", line " + line;
    }
  }

  private static ApiBenchRecord record(Place place, JsonNode node) {
    if (!node.isObject()) {
      throw new DataException(place + ": expected an object, found " + node.getNodeType());
    }
    JsonNode data = node.path("api_data");
    if (!data.isObject()) {
      throw new DataException(
          place + ", field \"api_data\": expected an object, found " + data.getNodeType());
    }
    JsonNode owner = node.has("api_call") ? node : data;
    Map<String, @Nullable Object> apiData = JSON.convertValue(data, MAP);
    return new ApiBenchRecord(
        place.line(),
        ApiBenchCode.parse(text(place, node, "code")),
        text(place, owner, "api_call"),
        node.has("provider") ? text(place, node, "provider") : "",
        apiData);
  }

  private static String text(Place place, JsonNode object, String field) {
    JsonNode value = object.path(field);
    if (!value.isTextual()) {
      throw new DataException(
          place + ", field \"" + field + "\": expected a string, found " + value.getNodeType());
    }
    return value.textValue();
  }
}
