package org.alpaca4j.core.internal.jinja;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A Python dict: insertion order, and keys equal as in Python (1, 1.0 and True are one key). The
 * sandbox lets no template change one after it was built.
 */
final class Dict {
  /** One item; the key as it was first given. */
  record Entry(Object key, Object value) {}

  /** The items of a dict seen as keys, values or pairs. */
  enum Part {
    KEYS,
    VALUES,
    ITEMS
  }

  /** A live view, as {@code dict.items()} returns it. */
  record View(Dict dict, Part part) {
    List<Object> list() {
      List<Object> items = new ArrayList<>(dict.size());
      for (Entry entry : dict.entries()) {
        items.add(
            switch (part) {
              case KEYS -> entry.key();
              case VALUES -> entry.value();
              case ITEMS -> Tuple.of(entry.key(), entry.value());
            });
      }
      return items;
    }
  }

  private record TupleKey(List<Object> items) {}

  private final Map<Object, Entry> entries = new LinkedHashMap<>();

  @Nullable Object get(Object key) {
    Entry entry = entries.get(hashKey(key));
    return entry == null ? null : entry.value();
  }

  void put(Object key, Object value) {
    Object hash = hashKey(key);
    Entry old = entries.get(hash);
    entries.put(hash, new Entry(old == null ? key : old.key(), value));
  }

  int size() {
    return entries.size();
  }

  Collection<Entry> entries() {
    return entries.values();
  }

  List<Object> keys() {
    return new View(this, Part.KEYS).list();
  }

  Dict copy() {
    Dict copy = new Dict();
    copy.entries.putAll(entries);
    return copy;
  }

  /** Returns an object that is equal for keys that are equal in Python. */
  static Object hashKey(Object key) {
    if (key instanceof String || key instanceof Long || key instanceof None) {
      return key;
    }
    if (key instanceof Boolean flag) {
      return flag ? 1L : 0L;
    }
    if (key instanceof Double number) {
      return Values.isIntegral(number) ? Values.truncate(number) : number;
    }
    if (key instanceof Markup markup) {
      return markup.text();
    }
    if (key instanceof Undefined) {
      return Undefined.class;
    }
    if (key instanceof Tuple tuple) {
      List<Object> items = new ArrayList<>(tuple.size());
      tuple.forEach(item -> items.add(hashKey(item)));
      return new TupleKey(items);
    }
    if (key instanceof List || key instanceof Dict || key instanceof Slice) {
      throw JinjaException.type("unhashable type: '" + Values.typeName(key) + "'");
    }
    return key;
  }
}
