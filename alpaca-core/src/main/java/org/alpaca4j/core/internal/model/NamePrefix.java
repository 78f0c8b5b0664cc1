package org.alpaca4j.core.internal.model;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Names of tensors that differ from the family's by what wrappers put before them: {@code module.}
 * (DistributedDataParallel, DeepSpeed), {@code base_model.model.} (PEFT), {@code _orig_mod.}
 * (torch.compile); or by a first part that is missing, {@code model.}, where the inner model was
 * saved alone.
 */
final class NamePrefix {
  private static final List<String> WRAPPERS =
      List.of("module.", "_orig_mod.", "base_model.model.");

  private NamePrefix() {}

  /**
   * Returns the family's names of the tensors whose names differ from them by a prefix; none where
   * some names are as expected, so that nothing has to be guessed.
   */
  static Map<String, String> renamed(Collection<String> names, Set<String> expected) {
    if (names.stream().anyMatch(expected::contains)) {
      return Map.of();
    }
    Set<String> firstParts =
        expected.stream()
            .map(name -> name.substring(0, name.indexOf('.') + 1))
            .collect(Collectors.toSet());
    Map<String, String> renamed = new LinkedHashMap<>();
    for (String name : names) {
      String bare = withoutWrappers(name);
      List<String> longer =
          firstParts.stream().map(part -> part + bare).filter(expected::contains).toList();
      String found = !expected.contains(bare) && longer.size() == 1 ? longer.get(0) : bare;
      if (!found.equals(name)) {
        renamed.put(name, found);
      }
    }
    return renamed;
  }

  private static String withoutWrappers(String name) {
    for (String wrapper : WRAPPERS) {
      if (name.startsWith(wrapper)) {
        return withoutWrappers(name.substring(wrapper.length()));
      }
    }
    return name;
  }
}
