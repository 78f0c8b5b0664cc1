package org.alpaca4j.core.internal.jinja;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import org.alpaca4j.core.internal.jinja.JinjaException.Kind;
import org.jspecify.annotations.Nullable;

/** A statement of the tree; immutable, writes to {@code out} when run. */
sealed interface Statement {

  /** How a statement ended. */
  enum Signal {
    NEXT,
    BREAK,
    CONTINUE
  }

  Signal run(Rendering rendering, Scope scope, StringBuilder out);

  int line();

  static Signal runAll(List<Statement> body, Rendering rendering, Scope scope, StringBuilder out) {
    for (int i = 0; i < body.size(); i++) {
      Statement statement = body.get(i);
      try {
        rendering.work(1);
        Signal signal = statement.run(rendering, scope, out);
        if (signal != Signal.NEXT) {
          return signal;
        }
      } catch (JinjaException e) {
        throw e.at(statement.line());
      }
    }
    return Signal.NEXT;
  }

  private static String capture(List<Statement> body, Rendering rendering, Scope scope) {
    StringBuilder out = new StringBuilder();
    runAll(body, rendering, scope, out);
    return out.toString();
  }

  private static void write(String text, Rendering rendering, StringBuilder out) {
    out.append(text);
    rendering.work(text.length() >> 4);
    Rendering.checkLength(out.length());
  }

  record Text(String text, int line) implements Statement {
    @Override
    public Signal run(Rendering rendering, Scope scope, StringBuilder out) {
      write(text, rendering, out);
      return Signal.NEXT;
    }
  }

  record Print(Expression value, int line) implements Statement {
    @Override
    public Signal run(Rendering rendering, Scope scope, StringBuilder out) {
      write(Values.str(value.evaluate(rendering, scope)), rendering, out);
      return Signal.NEXT;
    }
  }

  record If(
      List<Expression> tests, List<List<Statement>> bodies, List<Statement> otherwise, int line)
      implements Statement {
    @Override
    public Signal run(Rendering rendering, Scope scope, StringBuilder out) {
      for (int i = 0; i < tests.size(); i++) {
        if (Values.isTrue(tests.get(i).evaluate(rendering, scope))) {
          return runAll(bodies.get(i), rendering, scope, out);
        }
      }
      return runAll(otherwise, rendering, scope, out);
    }
  }

  record For(
      Target target,
      Expression items,
      @Nullable Expression filter,
      boolean recursive,
      List<Statement> body,
      List<Statement> otherwise,
      int line)
      implements Statement {
    @Override
    public Signal run(Rendering rendering, Scope scope, StringBuilder out) {
      Object iterable = items.evaluate(rendering, scope);
      if (!recursive) {
        return loop(rendering, scope, out, iterable, 0);
      }
      write(recurse(rendering, scope, iterable, 0), rendering, out);
      return Signal.NEXT;
    }

    private String recurse(Rendering rendering, Scope scope, Object iterable, int depth) {
      StringBuilder inner = new StringBuilder();
      rendering.nested(() -> loop(rendering, scope, inner, iterable, depth));
      return inner.toString();
    }

    private Signal loop(
        Rendering rendering, Scope scope, StringBuilder out, Object iterable, int depth) {
      Iterator<Object> source = Values.iterate(iterable);
      LoopContext loop =
          new LoopContext(
              filter == null ? source : filtered(rendering, scope, source),
              filter == null ? Values.lengthOrMinusOne(iterable) : -1,
              depth,
              recursive ? (more, level) -> recurse(rendering, scope, more, level) : null);
      boolean completed = false;
      while (loop.hasNext()) {
        rendering.work(1);
        Scope inner = new Scope(scope);
        target.assign(rendering, inner, loop.next());
        inner.set("loop", loop);
        Signal signal = runAll(body, rendering, inner, out);
        if (signal == Signal.BREAK) {
          break;
        }
        completed |= signal == Signal.NEXT;
      }
      // Jinja's own reading of else: no iteration reached the end of the body
      return completed ? Signal.NEXT : runAll(otherwise, rendering, new Scope(scope), out);
    }

    private Iterator<Object> filtered(Rendering rendering, Scope scope, Iterator<Object> source) {
      return new Iterator<>() {
        private @Nullable Object found;

        @Override
        public boolean hasNext() {
          while (found == null && source.hasNext()) {
            Object item = source.next();
            rendering.work(1);
            Scope inner = new Scope(scope);
            target.assign(rendering, inner, item);
            if (filter != null && Values.isTrue(filter.evaluate(rendering, inner))) {
              found = item;
            }
          }
          return found != null;
        }

        @Override
        public Object next() {
          if (!hasNext() || found == null) {
            throw new NoSuchElementException();
          }
          Object item = found;
          found = null;
          return item;
        }
      };
    }
  }

  /** {@code break} and {@code continue}. */
  record Jump(Signal signal, int line) implements Statement {
    @Override
    public Signal run(Rendering rendering, Scope scope, StringBuilder out) {
      return signal;
    }
  }

  record Assign(Target target, Expression value, int line) implements Statement {
    @Override
    public Signal run(Rendering rendering, Scope scope, StringBuilder out) {
      target.assign(rendering, scope, value.evaluate(rendering, scope));
      return Signal.NEXT;
    }
  }

  /** Filters of a block, applied to {@link #INPUT}. */
  record FilterChain(@Nullable Expression filtered) {
    static final String INPUT = "\0block";

    Object apply(String text, Rendering rendering, Scope scope) {
      if (filtered == null) {
        return text;
      }
      Scope inner = new Scope(scope);
      inner.set(INPUT, text);
      return filtered.evaluate(rendering, inner);
    }
  }

  record AssignBlock(Target target, FilterChain filters, List<Statement> body, int line)
      implements Statement {
    @Override
    public Signal run(Rendering rendering, Scope scope, StringBuilder out) {
      Scope inner = new Scope(scope);
      String text = capture(body, rendering, inner);
      target.assign(rendering, scope, filters.apply(text, rendering, inner));
      return Signal.NEXT;
    }
  }

  record FilterBlock(FilterChain filters, List<Statement> body, int line) implements Statement {
    @Override
    public Signal run(Rendering rendering, Scope scope, StringBuilder out) {
      Scope inner = new Scope(scope);
      String text = capture(body, rendering, inner);
      write(Values.str(filters.apply(text, rendering, inner)), rendering, out);
      return Signal.NEXT;
    }
  }

  record With(List<Target> targets, List<Expression> values, List<Statement> body, int line)
      implements Statement {
    @Override
    public Signal run(Rendering rendering, Scope scope, StringBuilder out) {
      Scope inner = new Scope(scope);
      for (int i = 0; i < targets.size(); i++) {
        targets.get(i).assign(rendering, inner, values.get(i).evaluate(rendering, scope));
      }
      return runAll(body, rendering, inner, out);
    }
  }

  /** A block is rendered where it stands; without inheritance it only opens a scope. */
  record Block(boolean scoped, List<Statement> body, int line) implements Statement {
    @Override
    public Signal run(Rendering rendering, Scope scope, StringBuilder out) {
      Scope visible = scoped ? scope : scope.root();
      return runAll(body, rendering, new Scope(visible), out);
    }
  }

  record MacroStatement(Macro.Definition definition, int line) implements Statement {
    @Override
    public Signal run(Rendering rendering, Scope scope, StringBuilder out) {
      scope.set(definition.name(), new Macro(definition, scope));
      return Signal.NEXT;
    }
  }

  record CallBlock(Expression.Call call, Macro.Definition caller, int line) implements Statement {
    @Override
    public Signal run(Rendering rendering, Scope scope, StringBuilder out) {
      Object callee = call.callee().evaluate(rendering, scope);
      Arguments arguments = call.arguments().evaluate(rendering, scope);
      Map<String, Object> named = new LinkedHashMap<>(arguments.named());
      if (named.put("caller", new Macro(caller, scope)) != null) {
        throw JinjaException.type("got multiple values for keyword argument 'caller'");
      }
      Object result = rendering.call(callee, new Arguments(arguments.positional(), named));
      write(Values.str(result), rendering, out);
      return Signal.NEXT;
    }
  }

  /** What the model is to learn; its span is recorded. */
  record Generation(List<Statement> body, int line) implements Statement {
    @Override
    public Signal run(Rendering rendering, Scope scope, StringBuilder out) {
      String text = capture(body, rendering, new Scope(scope));
      rendering.addSpan(text);
      write(text, rendering, out);
      return Signal.NEXT;
    }
  }

  /** Statements that need other templates: an error when reached, as in Jinja without a loader. */
  record Unavailable(String tag, int line) implements Statement {
    @Override
    public Signal run(Rendering rendering, Scope scope, StringBuilder out) {
      throw JinjaException.type("no loader for this environment specified (" + tag + ")");
    }
  }

  /** What can stand left of an assignment. */
  sealed interface Target {
    void assign(Rendering rendering, Scope scope, Object value);

    record Variable(String name) implements Target {
      @Override
      public void assign(Rendering rendering, Scope scope, Object value) {
        scope.set(name, value);
      }
    }

    record Member(String namespace, String attribute) implements Target {
      @Override
      public void assign(Rendering rendering, Scope scope, Object value) {
        if (!(new Expression.Name(namespace).evaluate(rendering, scope)
            instanceof Namespace owner)) {
          throw new JinjaException(Kind.RUNTIME, "cannot assign attribute on non-namespace object");
        }
        owner.set(attribute, value);
      }
    }

    record Several(List<Target> targets) implements Target {
      @Override
      public void assign(Rendering rendering, Scope scope, Object value) {
        if (!Values.isIterable(value)) {
          throw JinjaException.type(
              "cannot unpack non-iterable " + Values.typeName(value) + " object");
        }
        List<Object> items = Values.list(value);
        if (items.size() != targets.size()) {
          throw JinjaException.value(
              (items.size() < targets.size() ? "not enough" : "too many")
                  + " values to unpack (expected "
                  + targets.size()
                  + ", got "
                  + items.size()
                  + ")");
        }
        for (int i = 0; i < items.size(); i++) {
          targets.get(i).assign(rendering, scope, items.get(i));
        }
      }
    }
  }
}
