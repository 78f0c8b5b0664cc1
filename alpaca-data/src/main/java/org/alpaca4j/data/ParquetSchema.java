package org.alpaca4j.data;

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
import org.apache.parquet.format.SchemaElement;
import org.apache.parquet.schema.GroupType;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.PrimitiveType;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;
import org.apache.parquet.schema.Type;
import org.apache.parquet.schema.Type.Repetition;
import org.apache.parquet.schema.Types;
import org.jspecify.annotations.Nullable;

/** Parquet's schema and rows as plain values: texts, numbers, lists and maps. */
final class ParquetSchema {

  private static final int MAX_DEPTH = 50;

  private ParquetSchema() {}

  /** Returns the schema that a footer's flat list, in depth-first order, stands for. */
  static MessageType messageType(List<SchemaElement> elements) {
    Iterator<SchemaElement> rest = elements.iterator();
    SchemaElement root = rest.next();
    return new MessageType(root.getName(), fields(root.getNum_children(), rest, 0));
  }

  private static List<Type> fields(int count, Iterator<SchemaElement> rest, int depth) {
    if (depth > MAX_DEPTH) {
      throw new IllegalArgumentException("the schema is nested too deep");
    }
    List<Type> fields = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      if (!rest.hasNext()) {
        throw new IllegalArgumentException("the schema ends too early");
      }
      fields.add(field(rest.next(), rest, depth));
    }
    return fields;
  }

  private static Type field(SchemaElement element, Iterator<SchemaElement> rest, int depth) {
    Repetition repetition = Repetition.valueOf(element.getRepetition_type().name());
    if (element.isSetType()) {
      return new PrimitiveType(
          repetition,
          element.getType() == org.apache.parquet.format.Type.BYTE_ARRAY
              ? PrimitiveTypeName.BINARY
              : PrimitiveTypeName.valueOf(element.getType().name()),
          element.getType_length(),
          element.getName());
    }
    boolean list =
        element.isSetLogicalType()
            ? element.getLogicalType().isSetLIST()
            : element.isSetConverted_type() && element.getConverted_type() == ConvertedType.LIST;
    return Types.buildGroup(repetition)
        .as(list ? LogicalTypeAnnotation.listType() : null)
        .addFields(fields(element.getNum_children(), rest, depth + 1).toArray(new Type[0]))
        .named(element.getName());
  }

  /** Returns the values of a row by the names of its fields. */
  static Map<String, @Nullable Object> values(Group group) {
    GroupType type = group.getType();
    Map<String, @Nullable Object> values = new LinkedHashMap<>();
    for (int f = 0; f < type.getFieldCount(); f++) {
      int count = group.getFieldRepetitionCount(f);
      if (type.getType(f).isRepetition(Repetition.REPEATED)) {
        List<@Nullable Object> list = new ArrayList<>();
        for (int i = 0; i < count; i++) {
          list.add(value(group, f, i));
        }
        values.put(type.getFieldName(f), list);
      } else {
        values.put(type.getFieldName(f), count == 0 ? null : value(group, f, 0));
      }
    }
    return values;
  }

  private static @Nullable Object value(Group group, int field, int i) {
    Type type = group.getType().getType(field);
    if (!type.isPrimitive()) {
      Group inner = group.getGroup(field, i);
      return type.getLogicalTypeAnnotation() == null ? values(inner) : list(inner);
    }
    return switch (type.asPrimitiveType().getPrimitiveTypeName()) {
      case BOOLEAN -> group.getBoolean(field, i);
      case INT32 -> group.getInteger(field, i);
      case INT64 -> group.getLong(field, i);
      case FLOAT -> group.getFloat(field, i);
      case DOUBLE -> group.getDouble(field, i);
      case BINARY -> text(group.getBinary(field, i).toByteBuffer());
      default -> group.getValueToString(field, i);
    };
  }

  /** A list is a group of one repeated group of one element. */
  private static List<@Nullable Object> list(Group group) {
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

  private static String text(ByteBuffer bytes) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw new IllegalArgumentException("a text is not UTF-8", e);
    }
  }
}
