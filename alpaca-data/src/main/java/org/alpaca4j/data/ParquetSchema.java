package org.alpaca4j.data;

import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.format.ConvertedType;
import org.apache.parquet.format.LogicalType;
import org.apache.parquet.format.SchemaElement;
import org.apache.parquet.schema.GroupType;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.PrimitiveType;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;
import org.apache.parquet.schema.Type;
import org.apache.parquet.schema.Type.Repetition;
import org.jspecify.annotations.Nullable;

/** Parquet's schema, and its rows as plain values: texts, numbers, lists and maps. */
final class ParquetSchema {

  private static final int MAX_DEPTH = 50;

  /** What the values of an element of the schema are. */
  private enum Kind {
    TEXT,
    BOOLEAN,
    INT,
    UNSIGNED_INT,
    LONG,
    UNSIGNED_LONG,
    FLOAT,
    DOUBLE,
    STRUCT,
    LIST,
    MAP,
    NOT_READ
  }

  /** The flat list of the footer; the id of a type here is its place in it. */
  private final List<SchemaElement> elements;

  private final Kind[] kinds;
  private final MessageType messageType;

  /**
   * Takes the schema of a footer: a flat list in depth-first order.
   *
   * @throws ParquetException if it is damaged
   */
  ParquetSchema(List<SchemaElement> elements) {
    this.elements = elements;
    this.kinds = new Kind[elements.size()];
    Iterator<SchemaElement> rest = elements.iterator();
    SchemaElement root = rest.next();
    this.messageType = new MessageType(root.getName(), fields(root.getNum_children(), rest, 1, 0));
  }

  MessageType messageType() {
    return messageType;
  }

  /** Returns the types of some elements, of which the first stands at a place of the list. */
  private List<Type> fields(int count, Iterator<SchemaElement> rest, int first, int depth) {
    if (depth > MAX_DEPTH) {
      throw new ParquetException("the schema is nested too deep");
    }
    List<Type> fields = new ArrayList<>();
    int place = first;
    for (int i = 0; i < count; i++) {
      if (!rest.hasNext()) {
        throw new ParquetException("the schema ends too early");
      }
      Type field = field(rest.next(), rest, place, depth);
      fields.add(field);
      place += elementsOf(field);
    }
    return fields;
  }

  private static int elementsOf(Type type) {
    return type.isPrimitive()
        ? 1
        : 1 + type.asGroupType().getFields().stream().mapToInt(ParquetSchema::elementsOf).sum();
  }

  private Type field(SchemaElement element, Iterator<SchemaElement> rest, int place, int depth) {
    Repetition repetition = Repetition.valueOf(element.getRepetition_type().name());
    kinds[place] = kind(element);
    if (element.isSetType()) {
      return new PrimitiveType(
              repetition,
              element.getType() == org.apache.parquet.format.Type.BYTE_ARRAY
                  ? PrimitiveTypeName.BINARY
                  : PrimitiveTypeName.valueOf(element.getType().name()),
              element.getType_length(),
              element.getName())
          .withId(place);
    }
    List<Type> fields = fields(element.getNum_children(), rest, place + 1, depth + 1);
    return new GroupType(repetition, element.getName(), fields).withId(place);
  }

  private static Kind kind(SchemaElement element) {
    LogicalType logical = element.getLogicalType();
    ConvertedType converted = element.getConverted_type();
    if (!element.isSetType()) {
      if (logical != null ? logical.isSetMAP() : isMap(converted)) {
        return Kind.MAP;
      }
      return (logical != null ? logical.isSetLIST() : converted == ConvertedType.LIST)
          ? Kind.LIST
          : Kind.STRUCT;
    }
    return switch (element.getType()) {
      case BOOLEAN -> Kind.BOOLEAN;
      case FLOAT -> Kind.FLOAT;
      case DOUBLE -> Kind.DOUBLE;
      case BYTE_ARRAY ->
          (logical != null
                  ? logical.isSetSTRING() || logical.isSetENUM() || logical.isSetJSON()
                  : converted != ConvertedType.DECIMAL && converted != ConvertedType.BSON)
              ? Kind.TEXT
              : Kind.NOT_READ;
      case INT32 -> integer(logical, converted, Kind.INT, Kind.UNSIGNED_INT);
      case INT64 -> integer(logical, converted, Kind.LONG, Kind.UNSIGNED_LONG);
      case INT96, FIXED_LEN_BYTE_ARRAY -> Kind.NOT_READ;
    };
  }

  private static boolean isMap(@Nullable ConvertedType converted) {
    return converted == ConvertedType.MAP || converted == ConvertedType.MAP_KEY_VALUE;
  }

  /** Dates, times and decimals are integers, too, but mean something else. */
  private static Kind integer(
      @Nullable LogicalType logical, @Nullable ConvertedType converted, Kind signed, Kind not) {
    if (logical != null) {
      if (!logical.isSetINTEGER()) {
        return Kind.NOT_READ;
      }
      return logical.getINTEGER().isIsSigned() ? signed : not;
    }
    if (converted == null) {
      return signed;
    }
    return switch (converted) {
      case INT_8, INT_16, INT_32, INT_64 -> signed;
      case UINT_8, UINT_16, UINT_32, UINT_64 -> not;
      default -> Kind.NOT_READ;
    };
  }

  /**
   * Returns the value of a field of a row or of a group in it; null if it has none.
   *
   * @throws ParquetException if it is of a type that is not read, or no text
   */
  @Nullable Object value(Group group, int field) {
    int count = group.getFieldRepetitionCount(field);
    if (group.getType().getType(field).isRepetition(Repetition.REPEATED)) {
      List<@Nullable Object> list = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        list.add(value(group, field, i));
      }
      return list;
    }
    return count == 0 ? null : value(group, field, 0);
  }

  private Map<String, @Nullable Object> struct(Group group) {
    GroupType type = group.getType();
    Map<String, @Nullable Object> values = new LinkedHashMap<>();
    for (int f = 0; f < type.getFieldCount(); f++) {
      values.put(type.getFieldName(f), value(group, f));
    }
    return values;
  }

  private @Nullable Object value(Group group, int field, int i) {
    Type type = group.getType().getType(field);
    return switch (kinds[type.getId().intValue()]) {
      case TEXT -> text(group.getBinary(field, i).toByteBuffer(), type);
      case BOOLEAN -> group.getBoolean(field, i);
      case INT -> group.getInteger(field, i);
      case UNSIGNED_INT -> Integer.toUnsignedLong(group.getInteger(field, i));
      case LONG -> group.getLong(field, i);
      case UNSIGNED_LONG -> unsigned(group.getLong(field, i));
      case FLOAT -> group.getFloat(field, i);
      case DOUBLE -> group.getDouble(field, i);
      case STRUCT -> struct(group.getGroup(field, i));
      case LIST -> list(group.getGroup(field, i));
      case MAP -> map(group.getGroup(field, i));
      case NOT_READ -> throw notRead(type);
    };
  }

  private static Number unsigned(long value) {
    return value >= 0 ? (Number) value : new BigInteger(Long.toUnsignedString(value));
  }

  private ParquetException notRead(Type type) {
    SchemaElement element = elements.get(type.getId().intValue());
    Object meaning =
        element.isSetLogicalType()
            ? element.getLogicalType().getSetField()
            : element.isSetConverted_type() ? element.getConverted_type() : element.getType();
    return new ParquetException(
        (type.getName() + " is of Parquet's type " + meaning)
            + ", which is not read; write it as text or as a plain number");
  }

  /** A list is a group of one repeated group of one element. */
  private List<@Nullable Object> list(Group group) {
    List<@Nullable Object> list = new ArrayList<>();
    for (int i = 0; i < group.getFieldRepetitionCount(0); i++) {
      Object entry = value(group, 0, i);
      if (entry instanceof Map<?, ?> wrapped && wrapped.size() == 1) {
        list.add(wrapped.values().iterator().next());
      } else {
        list.add(entry);
      }
    }
    return list;
  }

  /** A map is a group of one repeated group of key and value. */
  private Map<String, @Nullable Object> map(Group group) {
    Map<String, @Nullable Object> map = new LinkedHashMap<>();
    for (int i = 0; i < group.getFieldRepetitionCount(0); i++) {
      Group entry = group.getGroup(0, i);
      map.put(
          String.valueOf(value(entry, 0)),
          entry.getType().getFieldCount() > 1 ? value(entry, 1) : null);
    }
    return map;
  }

  private static String text(ByteBuffer bytes, Type type) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw new ParquetException(type.getName() + " holds bytes that are no UTF-8 text", e);
    }
  }
}
