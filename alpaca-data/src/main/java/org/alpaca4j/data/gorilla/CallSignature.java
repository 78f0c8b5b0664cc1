package org.alpaca4j.data.gorilla;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.alpaca4j.data.internal.python.PythonTree;
import org.jspecify.annotations.Nullable;

/**
 * What of a call is compared.
 *
 * @param function its dotted name
 * @param arguments what counts of its arguments; null stands for a key argument that is not given
 * @param complete whether no key argument is missing
 */
record CallSignature(String function, List<@Nullable PythonTree> arguments, boolean complete) {

  /** Returns the signature of a call; null if its function is no dotted name. */
  static @Nullable CallSignature of(PythonTree call, ApiHub hub) {
    String function = call.children().get(0).dottedName();
    if (function == null) {
      return null;
    }
    List<PythonTree> arguments = call.children().subList(1, call.children().size());
    List<String> keys = hub.keyArguments(function);
    return keys.isEmpty()
        ? new CallSignature(function, sorted(arguments), true)
        : ofKeys(function, arguments, keys);
  }

  private static CallSignature ofKeys(
      String function, List<PythonTree> arguments, List<String> keys) {
    @Nullable PythonTree[] values = new @Nullable PythonTree[keys.size()];
    List<PythonTree> positional =
        arguments.stream()
            .filter(argument -> argument.kind() != PythonTree.Kind.KEYWORD)
            .limit(keys.size())
            .toList();
    // Behind an unpacked argument nobody knows the positions.
    if (positional.stream().noneMatch(a -> a.kind() == PythonTree.Kind.STARRED)) {
      for (int i = 0; i < positional.size(); i++) {
        values[i] = positional.get(i);
      }
    }
    for (PythonTree argument : arguments) {
      int key = keys.indexOf(argument.text());
      if (argument.kind() == PythonTree.Kind.KEYWORD && key >= 0) {
        values[key] = argument.children().get(0);
      }
    }
    List<@Nullable PythonTree> list = new ArrayList<>();
    boolean complete = true;
    for (PythonTree value : values) {
      list.add(value);
      complete &= value != null;
    }
    return new CallSignature(function, list, complete);
  }

  /** Positional arguments as they are, named ones in the order of their names. */
  private static List<@Nullable PythonTree> sorted(List<PythonTree> arguments) {
    List<@Nullable PythonTree> sorted = new ArrayList<>();
    arguments.stream().filter(a -> a.kind() != PythonTree.Kind.KEYWORD).forEach(sorted::add);
    arguments.stream()
        .filter(a -> a.kind() == PythonTree.Kind.KEYWORD)
        .sorted(Comparator.comparing(PythonTree::text).thenComparing(PythonTree::toString))
        .forEach(sorted::add);
    return sorted;
  }
}
