package org.alpaca4j.core.internal.pytorch;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.internal.pickle.PickleDict;
import org.alpaca4j.core.internal.pickle.PickleList;
import org.alpaca4j.core.internal.pickle.PickleTuple;
import org.alpaca4j.core.internal.pickle.Unpickler;

/**
 * Takes the named tensors out of what a file of weights holds: a dict from names to tensors, or a
 * dict that has such a one under a customary name. Looks two levels deep and no further.
 */
final class StateDict {
  /** Under which training programs store the weights beside their own state. */
  private static final List<String> WRAPPERS =
      List.of("state_dict", "model_state_dict", "model", "module");

  private static final int LISTED_KEYS = 10;

  private StateDict() {}

  /**
   * Returns the tensors by name. Beside tensors, plain values (numbers, texts, None) and empty
   * containers are skipped; another container is refused, since tensors in it would be lost.
   */
  static Map<String, TorchTensor> tensors(Object value) throws MalformedArchiveException {
    if (!(value instanceof PickleDict top)) {
      throw new MalformedArchiveException(
          "it holds " + TorchGlobals.describe(value) + " instead of a dict of tensors");
    }
    if (holdsTensor(top)) {
      return named(top);
    }
    PickleDict found = null;
    for (int i = 0; i < top.size(); i++) {
      if (top.key(i) instanceof String key
          && WRAPPERS.contains(key)
          && top.value(i) instanceof PickleDict inner
          && holdsTensor(inner)) {
        if (found != null) {
          throw new MalformedArchiveException(
              "it holds weights under several of " + WRAPPERS + "; save the wanted ones alone");
        }
        found = inner;
      }
    }
    if (found == null) {
      throw new MalformedArchiveException(
          "it holds no tensors, neither itself nor under one of "
              + WRAPPERS
              + "; its keys are "
              + keys(top));
    }
    return named(found);
  }

  private static boolean holdsTensor(PickleDict dict) {
    for (int i = 0; i < dict.size(); i++) {
      if (dict.value(i) instanceof TorchTensor) {
        return true;
      }
    }
    return false;
  }

  private static Map<String, TorchTensor> named(PickleDict dict) throws MalformedArchiveException {
    Map<String, TorchTensor> tensors = new LinkedHashMap<>();
    for (int i = 0; i < dict.size(); i++) {
      Object value = dict.value(i);
      String shown =
          dict.key(i) instanceof String text
              ? "'" + Unpickler.show(text) + "'"
              : TorchGlobals.describe(dict.key(i));
      if (value instanceof TorchTensor tensor) {
        if (!(dict.key(i) instanceof String name)) {
          throw new MalformedArchiveException("the name of a tensor is " + shown + ", not a text");
        }
        if (tensors.put(name, tensor) != null) {
          throw new MalformedArchiveException("it holds the tensor " + shown + " twice");
        }
      } else if (value instanceof PickleDict inner && inner.size() > 0
          || value instanceof PickleList list && !list.items().isEmpty()
          || value instanceof PickleTuple tuple && !tuple.items().isEmpty()) {
        throw new MalformedArchiveException(
            "beside tensors it holds "
                + TorchGlobals.describe(value)
                + " under "
                + shown
                + ", whose contents would be lost; save the weights alone");
      }
    }
    return tensors;
  }

  private static List<String> keys(PickleDict dict) {
    List<String> keys = new ArrayList<>();
    for (int i = 0; i < Math.min(dict.size(), LISTED_KEYS); i++) {
      keys.add(TorchGlobals.describe(dict.key(i)));
    }
    return keys;
  }
}
