package org.alpaca4j.core.internal.jinja;

import java.util.Arrays;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Positional and keyword arguments of one call. */
record Arguments(Object[] positional, Map<String, Object> named) {
  static final Arguments EMPTY = new Arguments(new Object[0], Map.of());

  static Arguments of(Object... positional) {
    return new Arguments(positional, Map.of());
  }

  /** Returns the arguments after the first {@code count} positional ones. */
  Arguments skip(int count) {
    return new Arguments(Arrays.copyOfRange(positional, count, positional.length), named);
  }

  void none(String function) {
    bind(function, 0);
  }

  /** Returns the only argument. */
  Object only(String function) {
    Object value = bind(function, 1, "value")[0];
    if (value == null) {
      throw new IllegalStateException(function);
    }
    return value;
  }

  /**
   * Assigns the arguments to parameters, as Python does: null where one was not given; TypeError
   * when one of the first {@code required} is missing, given twice, or unknown.
   */
  @Nullable Object[] bind(String function, int required, String... parameters) {
    if (positional.length > parameters.length) {
      throw JinjaException.type(
          function
              + "() takes at most "
              + parameters.length
              + " arguments ("
              + positional.length
              + " given)");
    }
    @Nullable Object[] values = Arrays.copyOf(positional, parameters.length);
    for (Map.Entry<String, Object> argument : named.entrySet()) {
      int index = Arrays.asList(parameters).indexOf(argument.getKey());
      if (index < 0) {
        throw JinjaException.type(
            function + "() got an unexpected keyword argument '" + argument.getKey() + "'");
      }
      if (values[index] != null) {
        throw JinjaException.type(
            function + "() got multiple values for argument '" + argument.getKey() + "'");
      }
      values[index] = argument.getValue();
    }
    for (int i = 0; i < required; i++) {
      if (values[i] == null) {
        throw JinjaException.type(function + "() missing argument '" + parameters[i] + "'");
      }
    }
    return values;
  }
}
