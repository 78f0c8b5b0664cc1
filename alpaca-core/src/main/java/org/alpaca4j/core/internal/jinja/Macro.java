package org.alpaca4j.core.internal.jinja;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A macro, or the body of a call block, together with the scope it was defined in. */
record Macro(Definition definition, Scope closure) implements Callable {

  /** One parameter; {@code fallback} is null when the macro gives no default. */
  record Parameter(String name, @Nullable Expression fallback) {}

  /** {@code specials} are those of caller, kwargs and varargs that the body mentions. */
  record Definition(
      String name, List<Parameter> parameters, Set<String> specials, List<Statement> body) {

    boolean has(String parameter) {
      return parameters.stream().anyMatch(p -> p.name().equals(parameter));
    }
  }

  String name() {
    return definition.name();
  }

  @Override
  public Object call(Rendering rendering, Arguments arguments) {
    List<Parameter> parameters = definition.parameters();
    Map<String, Object> named = new LinkedHashMap<>(arguments.named());
    Object[] positional = arguments.positional();
    Scope scope = new Scope(closure);
    int given = Math.min(positional.length, parameters.size());
    Object[] values = new Object[parameters.size()];
    for (int i = 0; i < parameters.size(); i++) {
      values[i] = i < given ? positional[i] : named.remove(parameters.get(i).name());
    }
    Object caller = null;
    if (definition.specials().contains("caller") && !definition.has("caller")) {
      caller = named.remove("caller");
      scope.set("caller", caller == null ? Undefined.hint("No caller defined") : caller);
    }
    if (definition.specials().contains("kwargs") && !definition.has("kwargs")) {
      Dict rest = new Dict();
      named.forEach(rest::put);
      scope.set("kwargs", rest);
    } else if (!named.isEmpty()) {
      throw JinjaException.type(
          "macro '"
              + name()
              + "' takes no keyword argument '"
              + named.keySet().iterator().next()
              + "'");
    }
    if (definition.specials().contains("varargs") && !definition.has("varargs")) {
      scope.set("varargs", new Tuple(List.of(positional).subList(given, positional.length)));
    } else if (positional.length > given) {
      throw JinjaException.type(
          "macro '" + name() + "' takes not more than " + parameters.size() + " argument(s)");
    }
    for (int i = 0; i < values.length; i++) {
      String name = parameters.get(i).name();
      scope.set(name, values[i] == null ? Undefined.variable(name) : values[i]);
    }
    for (int i = 0; i < values.length; i++) {
      if (values[i] == null) {
        Parameter parameter = parameters.get(i);
        scope.set(
            parameter.name(),
            parameter.fallback() == null
                ? Undefined.hint("parameter '" + parameter.name() + "' was not provided")
                : parameter.fallback().evaluate(rendering, scope));
      }
    }
    StringBuilder out = new StringBuilder();
    Statement.runAll(definition.body(), rendering, scope, out);
    return out.toString();
  }
}
