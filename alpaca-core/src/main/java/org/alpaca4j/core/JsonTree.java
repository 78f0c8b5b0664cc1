package org.alpaca4j.core;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParseException;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.DecimalNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.MissingNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads JSON into trees without an {@link ObjectMapper}: the first one of a process has hundreds of
 * classes loaded, which takes longer than reading everything that a model's start needs.
 */
final class JsonTree {
  private static final JsonFactory FACTORY = new JsonFactory();
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  private JsonTree() {}

  /** Returns the one value of a text; a missing node if there is none. */
  static JsonNode parse(String text) throws JsonProcessingException {
    return parse(text, false);
  }

  /**
   * As {@link #parse(String)}.
   *
   * @param exact whether numbers with a fraction keep all their digits, trailing zeros too
   */
  static JsonNode parse(String text, boolean exact) throws JsonProcessingException {
    try (JsonParser parser = FACTORY.createParser(text)) {
      return only(parser, exact);
    } catch (JsonProcessingException e) {
      throw e;
    } catch (IOException e) {
      throw new UncheckedIOException(e); // in memory: cannot happen
    }
  }

  /** As {@link #parse(String)}, of a text in any of JSON's encodings. */
  static JsonNode parse(byte[] text) throws IOException {
    try (JsonParser parser = FACTORY.createParser(text)) {
      return only(parser, false);
    }
  }

  private static JsonNode only(JsonParser parser, boolean exact) throws IOException {
    if (parser.nextToken() == null) {
      return MissingNode.getInstance();
    }
    JsonNode result = read(parser, exact);
    if (parser.nextToken() != null) {
      throw new JsonParseException(parser, "Expected the end after the value");
    }
    return result;
  }

  /** Reads the value that begins with the current token; its last token is the current one then. */
  static JsonNode read(JsonParser parser) throws IOException {
    return read(parser, false);
  }

  /** Recursion is bounded: the parser refuses a nesting of more than 1,000. */
  private static JsonNode read(JsonParser parser, boolean exact) throws IOException {
    JsonToken token = parser.currentToken();
    return switch (token) {
      case START_OBJECT -> {
        ObjectNode object = NODES.objectNode();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          String name = parser.currentName();
          parser.nextToken();
          object.set(name, read(parser, exact));
        }
        yield object;
      }
      case START_ARRAY -> {
        ArrayNode array = NODES.arrayNode();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          array.add(read(parser, exact));
        }
        yield array;
      }
      case VALUE_STRING -> NODES.textNode(parser.getText());
      case VALUE_NUMBER_INT ->
          switch (parser.getNumberType()) {
            case INT -> NODES.numberNode(parser.getIntValue());
            case LONG -> NODES.numberNode(parser.getLongValue());
            default -> NODES.numberNode(parser.getBigIntegerValue());
          };
      case VALUE_NUMBER_FLOAT ->
          exact
              ? DecimalNode.valueOf(parser.getDecimalValue())
              : NODES.numberNode(parser.getDoubleValue());
      case VALUE_TRUE, VALUE_FALSE -> NODES.booleanNode(token == JsonToken.VALUE_TRUE);
      case VALUE_NULL -> NODES.nullNode();
      default -> throw new JsonParseException(parser, "Expected a value, not " + token);
    };
  }

  /** Returns an object's fields as strings, numbers, booleans, lists, maps and nulls, in order. */
  static Map<String, @Nullable Object> fields(JsonNode object) {
    Map<String, @Nullable Object> result = new LinkedHashMap<>();
    object.properties().forEach(field -> result.put(field.getKey(), plain(field.getValue())));
    return result;
  }

  private static @Nullable Object plain(JsonNode node) {
    if (node.isObject()) {
      return fields(node);
    }
    if (node.isArray()) {
      List<@Nullable Object> result = new ArrayList<>();
      node.forEach(element -> result.add(plain(element)));
      return result;
    }
    if (node.isNumber()) {
      return node.numberValue();
    }
    return node.isBoolean() ? (Object) node.booleanValue() : node.textValue();
  }

  /** Returns what writes JSON. */
  static ObjectMapper writer() {
    return Writing.MAPPER;
  }

  private static final class Writing {
    static final ObjectMapper MAPPER = new ObjectMapper();
  }
}
