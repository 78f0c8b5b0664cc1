package org.alpaca4j.core.internal.jinja;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.alpaca4j.core.internal.jinja.Expression.ArgumentList;
import org.alpaca4j.core.internal.jinja.JinjaException.Kind;
import org.alpaca4j.core.internal.jinja.Statement.FilterChain;
import org.alpaca4j.core.internal.jinja.Statement.Target;
import org.alpaca4j.core.internal.jinja.Token.Type;
import org.jspecify.annotations.Nullable;

/** Recursive descent over the tokens, following {@code jinja2/parser.py} rule by rule. */
final class Parser {
  /** Deepest nesting of tags and parentheses. */
  private static final int MAX_DEPTH = 150;

  /** Longest chain of operators, filters or attributes, which the tree nests one by one. */
  private static final int MAX_CHAIN = 500;

  private static final Set<String> MACRO_SPECIALS = Set.of("caller", "kwargs", "varargs");
  private static final Set<String> RESERVED = Set.of("self");

  private final List<Token> tokens;
  private int position;
  private int depth;
  private int loops;

  /** Whether unknown filters wait for run time, as Jinja has it inside if. */
  private boolean soft;

  private final List<Unknown> unknowns = new ArrayList<>();

  /** For each macro around: those of caller, kwargs and varargs that it reads, and that it sets. */
  private final Deque<Set<String>> reads = new ArrayDeque<>();

  private final Deque<Set<String>> writes = new ArrayDeque<>();

  private static final class Unknown {
    final String message;
    final int line;
    boolean soft;

    Unknown(String message, int line, boolean soft) {
      this.message = message;
      this.line = line;
      this.soft = soft;
    }
  }

  private Parser(List<Token> tokens) {
    this.tokens = tokens;
  }

  static List<Statement> parse(String template) {
    Parser parser = new Parser(Lexer.tokenize(template));
    List<Statement> body = parser.body();
    if (parser.peek().type() != Type.EOF) {
      throw parser.fail("Encountered unknown tag '" + parser.peek().value() + "'.");
    }
    for (Unknown unknown : parser.unknowns) {
      if (!unknown.soft) {
        throw new JinjaException(Kind.SYNTAX, unknown.message, unknown.line);
      }
    }
    return body;
  }

  // ---- tokens ----

  private Token peek() {
    return tokens.get(position);
  }

  private Token look() {
    return tokens.get(Math.min(position + 1, tokens.size() - 1));
  }

  private Token next() {
    Token token = peek();
    position = Math.min(position + 1, tokens.size() - 1);
    return token;
  }

  private boolean skipName(String name) {
    boolean found = peek().isName(name);
    if (found) {
      next();
    }
    return found;
  }

  private boolean skipOperator(String operator) {
    boolean found = peek().isOperator(operator);
    if (found) {
      next();
    }
    return found;
  }

  private Token expect(Type type) {
    if (peek().type() != type) {
      String wanted = new Token(type, type == Type.NAME ? "name" : "operator", 0).describe();
      throw fail("expected token '" + wanted + "', got '" + peek().describe() + "'");
    }
    return next();
  }

  private void expectOperator(String operator) {
    if (!skipOperator(operator)) {
      throw fail("expected token '" + operator + "', got '" + peek().describe() + "'");
    }
  }

  private void expectName(String name) {
    if (!skipName(name)) {
      throw fail("expected token '" + name + "', got '" + peek().describe() + "'");
    }
  }

  private JinjaException fail(String message) {
    return fail(message, peek().line());
  }

  private static JinjaException fail(String message, int line) {
    return new JinjaException(Kind.SYNTAX, message, line);
  }

  private <T> T nested(Supplier<T> rule) {
    if (++depth > MAX_DEPTH) {
      throw new JinjaException(
          Kind.LIMIT, "tags or parentheses nested deeper than " + MAX_DEPTH, peek().line());
    }
    T result = rule.get();
    depth--;
    return result;
  }

  private void checkChain(int length) {
    if (length > MAX_CHAIN) {
      throw new JinjaException(
          Kind.LIMIT, "more than " + MAX_CHAIN + " operators in a row", peek().line());
    }
  }

  // ---- statements ----

  /** Parses up to a block tag whose name is in {@code ends}, which becomes the next token. */
  private List<Statement> body(String... ends) {
    List<Statement> body = new ArrayList<>();
    while (true) {
      Token token = peek();
      switch (token.type()) {
        case EOF -> {
          if (ends.length > 0) {
            throw fail(
                "Unexpected end of template. Jinja was looking for the following tags: '"
                    + String.join("' or '", ends)
                    + "'.");
          }
          return List.copyOf(body);
        }
        case DATA -> body.add(new Statement.Text(next().text(), token.line()));
        case VARIABLE_BEGIN -> {
          next();
          body.add(new Statement.Print(tuple(true, false, null), token.line()));
          expect(Type.VARIABLE_END);
        }
        default -> {
          next();
          for (String end : ends) {
            if (peek().isName(end)) {
              return List.copyOf(body);
            }
          }
          body.add(nested(this::statement));
          expect(Type.BLOCK_END);
        }
      }
    }
  }

  /** Parses the rest of a tag and the statements up to one of {@code ends}. */
  private List<Statement> statements(String... ends) {
    skipOperator(":");
    expect(Type.BLOCK_END);
    return body(ends);
  }

  private List<Statement> statementsAndEnd(String end) {
    List<Statement> body = statements(end);
    next();
    return body;
  }

  /** Parses in a scope of its own, where unknown filters are refused at once. */
  private <T> T hard(Supplier<T> rule) {
    boolean outer = soft;
    soft = false;
    T result = rule.get();
    soft = outer;
    return result;
  }

  private Statement statement() {
    Token tag = peek();
    if (tag.type() != Type.NAME) {
      throw fail("tag name expected");
    }
    int line = tag.line();
    next();
    switch (tag.text()) {
      case "for":
        return forLoop(line);
      case "if":
        return conditional(line);
      case "set":
        return assignment(line);
      case "macro":
        return macro(line);
      case "call":
        return callBlock(line);
      case "filter":
        return filterBlock(line);
      case "with":
        return with(line);
      case "block":
        return block(line);
      case "print":
        return print(line);
      case "generation":
        return new Statement.Generation(
            function(() -> hard(() -> statementsAndEnd("endgeneration"))), line);
      case "break", "continue":
        if (loops == 0) {
          throw fail("'" + tag.text() + "' outside loop", line);
        }
        return new Statement.Jump(
            tag.text().equals("break") ? Statement.Signal.BREAK : Statement.Signal.CONTINUE, line);
      case "autoescape":
        throw new JinjaException(
            Kind.UNSUPPORTED, "the tag 'autoescape' is not supported by this engine", line);
      case "extends", "include", "import", "from":
        while (peek().type() != Type.BLOCK_END && peek().type() != Type.EOF) {
          next();
        }
        return new Statement.Unavailable(tag.text(), line);
      default:
        throw fail("Encountered unknown tag '" + tag.text() + "'.", line);
    }
  }

  private Statement forLoop(int line) {
    Token first = peek();
    Target target = target(false, "in");
    if (first.isName("loop")) {
      throw fail("Can't assign to special loop variable in for-loop target", line);
    }
    expectName("in");
    Expression items = tuple(false, false, "recursive");
    boolean outerSoft = soft;
    soft = false;
    Expression filter = skipName("if") ? expression() : null;
    boolean recursive = skipName("recursive");
    loops++;
    List<Statement> body = statements("endfor", "else");
    loops--;
    List<Statement> otherwise = next().isName("endfor") ? List.of() : statementsAndEnd("endfor");
    soft = outerSoft;
    return new Statement.For(target, items, filter, recursive, body, otherwise, line);
  }

  private Statement conditional(int line) {
    boolean outer = soft;
    soft = true;
    List<Expression> tests = new ArrayList<>();
    List<List<Statement>> bodies = new ArrayList<>();
    List<Statement> otherwise = List.of();
    while (true) {
      tests.add(tuple(false, false, null));
      bodies.add(statements("elif", "else", "endif"));
      Token token = next();
      if (token.isName("elif")) {
        continue;
      } else if (token.isName("else")) {
        otherwise = statementsAndEnd("endif");
      }
      break;
    }
    soft = outer;
    return new Statement.If(List.copyOf(tests), List.copyOf(bodies), otherwise, line);
  }

  private Statement assignment(int line) {
    Target target = target(true, null);
    if (skipOperator("=")) {
      return new Statement.Assign(target, tuple(true, false, null), line);
    }
    FilterChain filters =
        hard(
            () ->
                peek().isOperator("|")
                    ? new FilterChain(filters(new Expression.Name(FilterChain.INPUT)))
                    : new FilterChain(null));
    return new Statement.AssignBlock(target, filters, hard(() -> statementsAndEnd("endset")), line);
  }

  private Statement macro(int line) {
    String name = expect(Type.NAME).text();
    store(name);
    return new Statement.MacroStatement(
        definition(name, hard(this::signature), () -> statementsAndEnd("endmacro")), line);
  }

  /** Parses the body of a macro or call block. */
  private Macro.Definition definition(
      String name, List<Macro.Parameter> parameters, Supplier<List<Statement>> rule) {
    int line = peek().line();
    reads.push(new HashSet<>());
    writes.push(new HashSet<>());
    List<Statement> body = function(() -> hard(rule));
    writes.pop();
    Set<String> specials = Set.copyOf(reads.pop());
    for (Macro.Parameter parameter : parameters) {
      if (parameter.name().equals("caller")
          && specials.contains("caller")
          && parameter.fallback() == null) {
        throw fail(
            "When defining macros or call blocks the special \"caller\" argument must be omitted "
                + "or be given a default.",
            line);
      }
    }
    return new Macro.Definition(name, parameters, specials, body);
  }

  /** Parses what Jinja compiles to a function: no break or continue goes through it. */
  private <T> T function(Supplier<T> rule) {
    int outer = loops;
    loops = 0;
    T result = rule.get();
    loops = outer;
    return result;
  }

  private List<Macro.Parameter> signature() {
    List<Macro.Parameter> parameters = new ArrayList<>();
    Set<String> names = new HashSet<>();
    boolean defaults = false;
    expectOperator("(");
    while (!peek().isOperator(")")) {
      if (!parameters.isEmpty()) {
        expectOperator(",");
      }
      String name = expect(Type.NAME).text();
      Expression fallback = null;
      if (skipOperator("=")) {
        fallback = expression();
        defaults = true;
      } else if (defaults) {
        throw fail("non-default argument follows default argument");
      }
      if (!names.add(name)) {
        throw fail("duplicate argument '" + name + "' in function definition");
      }
      parameters.add(new Macro.Parameter(name, fallback));
    }
    expectOperator(")");
    return List.copyOf(parameters);
  }

  private Statement callBlock(int line) {
    List<Macro.Parameter> parameters = peek().isOperator("(") ? hard(this::signature) : List.of();
    if (!(expression() instanceof Expression.Call call)) {
      throw fail("expected call", line);
    }
    Macro.Definition caller = definition("", parameters, () -> statementsAndEnd("endcall"));
    return new Statement.CallBlock(call, caller, line);
  }

  private Statement filterBlock(int line) {
    return hard(
        () -> {
          Expression filtered = filter(new Expression.Name(FilterChain.INPUT));
          filtered = filters(filtered);
          List<Statement> body = statementsAndEnd("endfilter");
          return new Statement.FilterBlock(new FilterChain(filtered), body, line);
        });
  }

  private Statement with(int line) {
    List<Target> targets = new ArrayList<>();
    List<Expression> values = new ArrayList<>();
    while (peek().type() != Type.BLOCK_END) {
      if (!targets.isEmpty()) {
        expectOperator(",");
      }
      targets.add(target(false, null));
      expectOperator("=");
      values.add(expression());
    }
    List<Statement> body = hard(() -> statementsAndEnd("endwith"));
    return new Statement.With(List.copyOf(targets), List.copyOf(values), body, line);
  }

  private Statement block(int line) {
    String name = expect(Type.NAME).text();
    boolean scoped = skipName("scoped");
    if (peek().isName("required")) {
      throw new JinjaException(Kind.UNSUPPORTED, "required blocks are not supported", line);
    }
    if (peek().isOperator("-")) {
      throw fail("Block names in Jinja have to be valid Python identifiers");
    }
    List<Statement> body = function(() -> hard(() -> statementsAndEnd("endblock")));
    skipName(name);
    return new Statement.Block(scoped, body, line);
  }

  private Statement print(int line) {
    List<Expression> values = new ArrayList<>();
    while (peek().type() != Type.BLOCK_END) {
      if (!values.isEmpty()) {
        expectOperator(",");
      }
      values.add(expression());
    }
    return new Statement.Print(new Expression.Concatenation(List.copyOf(values)), line);
  }

  // ---- assignment targets ----

  private Target target(boolean members, @Nullable String end) {
    List<Target> targets = new ArrayList<>();
    boolean several = false;
    while (true) {
      if (!targets.isEmpty()) {
        expectOperator(",");
      }
      if (tupleEnd(end)) {
        break;
      }
      targets.add(nested(() -> singleTarget(members)));
      if (!peek().isOperator(",")) {
        break;
      }
      several = true;
    }
    if (targets.isEmpty()) {
      throw fail("Expected an expression, got '" + peek().describe() + "'");
    }
    return several ? new Target.Several(List.copyOf(targets)) : targets.get(0);
  }

  private Target singleTarget(boolean members) {
    if (skipOperator("(")) {
      Target inner = target(false, null);
      expectOperator(")");
      return inner;
    }
    Token name = peek();
    boolean constant =
        name.type() == Type.NAME
            && Set.of("true", "false", "none", "True", "False", "None").contains(name.text());
    if (name.type() != Type.NAME || constant) {
      throw fail("can't assign to '" + name.describe() + "'");
    }
    next();
    if (members && skipOperator(".")) {
      read(name.text());
      return new Target.Member(name.text(), expect(Type.NAME).text());
    }
    if (loops > 0 && name.text().equals("loop")) {
      throw fail("Can't assign to special loop variable in for-loop target", name.line());
    }
    store(name.text());
    return new Target.Variable(name.text());
  }

  private void store(String name) {
    if (MACRO_SPECIALS.contains(name)) {
      writes.forEach(set -> set.add(name));
    }
  }

  private void read(String name) {
    if (MACRO_SPECIALS.contains(name)) {
      var written = writes.iterator();
      for (Set<String> macro : reads) {
        if (!written.next().contains(name)) {
          macro.add(name);
        }
      }
    }
  }

  // ---- expressions ----

  private boolean tupleEnd(@Nullable String end) {
    Token token = peek();
    return token.type() == Type.VARIABLE_END
        || token.type() == Type.BLOCK_END
        || token.isOperator(")")
        || end != null && token.isName(end);
  }

  private Expression tuple(boolean conditions, boolean parentheses, @Nullable String end) {
    List<Expression> items = new ArrayList<>();
    boolean several = false;
    while (true) {
      if (!items.isEmpty()) {
        expectOperator(",");
      }
      if (tupleEnd(end)) {
        break;
      }
      items.add(conditions ? expression() : nested(this::or));
      if (!peek().isOperator(",")) {
        break;
      }
      several = true;
    }
    if (!several && !items.isEmpty()) {
      return items.get(0);
    }
    if (!several && !parentheses) {
      throw fail("Expected an expression, got '" + peek().describe() + "'");
    }
    return new Expression.TupleLiteral(List.copyOf(items));
  }

  private Expression expression() {
    return nested(this::conditionalExpression);
  }

  private Expression conditionalExpression() {
    int line = peek().line();
    int firstUnknown = unknowns.size();
    Expression value = or();
    int chain = 0;
    while (skipName("if")) {
      checkChain(++chain);
      Expression test = or();
      Expression otherwise = skipName("else") ? expression() : null;
      unknowns.subList(firstUnknown, unknowns.size()).forEach(unknown -> unknown.soft = true);
      value = new Expression.Conditional(test, value, otherwise, line);
      line = peek().line();
    }
    return value;
  }

  private Expression or() {
    Expression left = and();
    for (int chain = 1; skipName("or"); chain++) {
      checkChain(chain);
      left = new Expression.Or(left, and());
    }
    return left;
  }

  private Expression and() {
    Expression left = not();
    for (int chain = 1; skipName("and"); chain++) {
      checkChain(chain);
      left = new Expression.And(left, not());
    }
    return left;
  }

  private Expression not() {
    return skipName("not") ? new Expression.Not(nested(this::not)) : comparison();
  }

  private Expression comparison() {
    Expression first = sum();
    List<String> operators = new ArrayList<>();
    List<Expression> others = new ArrayList<>();
    while (true) {
      Token token = peek();
      if (token.type() == Type.OPERATOR
          && Set.of("==", "!=", "<", "<=", ">", ">=").contains(token.text())) {
        operators.add(next().text());
      } else if (skipName("in")) {
        operators.add("in");
      } else if (token.isName("not") && look().isName("in")) {
        next();
        next();
        operators.add("not in");
      } else {
        break;
      }
      others.add(sum());
    }
    return operators.isEmpty()
        ? first
        : new Expression.Comparison(first, List.copyOf(operators), List.copyOf(others));
  }

  private Expression sum() {
    Expression left = concatenation();
    for (int chain = 1; peek().isOperator("+") || peek().isOperator("-"); chain++) {
      checkChain(chain);
      String operator = next().text();
      left = new Expression.Arithmetic(operator, left, concatenation());
    }
    return left;
  }

  private Expression concatenation() {
    Expression first = product();
    if (!peek().isOperator("~")) {
      return first;
    }
    List<Expression> parts = new ArrayList<>(List.of(first));
    while (skipOperator("~")) {
      parts.add(product());
    }
    return new Expression.Concatenation(List.copyOf(parts));
  }

  private Expression product() {
    Expression left = power();
    for (int chain = 1; ; chain++) {
      Token token = peek();
      if (token.type() != Type.OPERATOR || !Set.of("*", "/", "//", "%").contains(token.text())) {
        return left;
      }
      checkChain(chain);
      left = new Expression.Arithmetic(next().text(), left, power());
    }
  }

  private Expression power() {
    Expression left = unary(true);
    for (int chain = 1; skipOperator("**"); chain++) {
      checkChain(chain);
      left = new Expression.Arithmetic("**", left, unary(true));
    }
    return left;
  }

  private Expression unary(boolean filters) {
    Expression value;
    if (skipOperator("-")) {
      value = new Expression.Unary(true, nested(() -> unary(false)));
    } else if (skipOperator("+")) {
      value = new Expression.Unary(false, nested(() -> unary(false)));
    } else {
      value = primary();
    }
    value = postfix(value);
    return filters ? filtersAndTests(value) : value;
  }

  private Expression primary() {
    Token token = peek();
    switch (token.type()) {
      case NAME -> {
        next();
        String name = token.text();
        switch (name) {
          case "true", "True" -> {
            return new Expression.Constant(true);
          }
          case "false", "False" -> {
            return new Expression.Constant(false);
          }
          case "none", "None" -> {
            return new Expression.Constant(None.NONE);
          }
          default -> {
            if (RESERVED.contains(name)) {
              throw new JinjaException(
                  Kind.UNSUPPORTED, "the variable '" + name + "' is not supported", token.line());
            }
            read(name);
            return new Expression.Name(name);
          }
        }
      }
      case STRING -> {
        StringBuilder text = new StringBuilder();
        while (peek().type() == Type.STRING) {
          text.append(next().text());
        }
        return new Expression.Constant(text.toString());
      }
      case INTEGER, FLOAT -> {
        return new Expression.Constant(next().value());
      }
      default -> {
        if (skipOperator("(")) {
          Expression inner = nested(() -> tuple(true, true, null));
          expectOperator(")");
          return inner;
        } else if (skipOperator("[")) {
          return new Expression.ListLiteral(items("]"));
        } else if (skipOperator("{")) {
          return dict();
        }
        throw fail("unexpected '" + token.describe() + "'");
      }
    }
  }

  private List<Expression> items(String end) {
    List<Expression> items = new ArrayList<>();
    while (!peek().isOperator(end)) {
      if (!items.isEmpty()) {
        expectOperator(",");
      }
      if (peek().isOperator(end)) {
        break;
      }
      items.add(expression());
    }
    expectOperator(end);
    return List.copyOf(items);
  }

  private Expression dict() {
    List<Expression> keys = new ArrayList<>();
    List<Expression> values = new ArrayList<>();
    while (!peek().isOperator("}")) {
      if (!keys.isEmpty()) {
        expectOperator(",");
      }
      if (peek().isOperator("}")) {
        break;
      }
      keys.add(expression());
      expectOperator(":");
      values.add(expression());
    }
    expectOperator("}");
    return new Expression.DictLiteral(List.copyOf(keys), List.copyOf(values));
  }

  private Expression postfix(Expression start) {
    Expression value = start;
    for (int chain = 1; ; chain++) {
      checkChain(chain);
      if (peek().isOperator(".") || peek().isOperator("[")) {
        value = subscript(value);
      } else if (peek().isOperator("(")) {
        value = new Expression.Call(value, arguments());
      } else {
        return value;
      }
    }
  }

  private Expression filtersAndTests(Expression start) {
    Expression value = start;
    for (int chain = 1; ; chain++) {
      checkChain(chain);
      if (peek().isOperator("|")) {
        value = filters(value);
      } else if (peek().isName("is")) {
        value = test(value);
      } else if (peek().isOperator("(")) {
        value = new Expression.Call(value, arguments());
      } else {
        return value;
      }
    }
  }

  private Expression subscript(Expression owner) {
    if (skipOperator(".")) {
      Token name = next();
      if (name.type() == Type.NAME) {
        return new Expression.Attribute(owner, name.text());
      } else if (name.type() == Type.INTEGER) {
        return new Expression.Item(owner, new Expression.Constant(name.value()));
      }
      throw fail("expected name or number", name.line());
    }
    expectOperator("[");
    Expression none = new Expression.Constant(None.NONE);
    Expression start = peek().isOperator(":") ? none : peek().isOperator("]") ? null : expression();
    if (start == null) {
      expectOperator("]");
      return new Expression.Item(owner, new Expression.TupleLiteral(List.of()));
    }
    if (skipOperator(":")) {
      Expression stop = sliceEnd() ? none : expression();
      Expression step = skipOperator(":") && !sliceEnd() ? expression() : none;
      expectOperator("]");
      return new Expression.SliceOf(owner, start, stop, step);
    }
    if (peek().isOperator(",")) {
      List<Expression> keys = new ArrayList<>(List.of(start));
      while (skipOperator(",")) {
        keys.add(expression());
      }
      start = new Expression.TupleLiteral(List.copyOf(keys));
    }
    expectOperator("]");
    return new Expression.Item(owner, start);
  }

  private boolean sliceEnd() {
    return peek().isOperator(":") || peek().isOperator("]");
  }

  private ArgumentList arguments() {
    return nested(this::argumentList);
  }

  private ArgumentList argumentList() {
    int line = peek().line();
    expectOperator("(");
    List<Expression> positional = new ArrayList<>();
    Map<String, Expression> named = new LinkedHashMap<>();
    Expression restPositional = null;
    Expression restNamed = null;
    boolean comma = false;
    while (!peek().isOperator(")")) {
      if (comma) {
        expectOperator(",");
        if (peek().isOperator(")")) {
          break;
        }
      }
      comma = true;
      boolean valid;
      if (skipOperator("*")) {
        valid = restPositional == null && restNamed == null;
        restPositional = expression();
      } else if (skipOperator("**")) {
        valid = restNamed == null;
        restNamed = expression();
      } else if (peek().type() == Type.NAME && look().isOperator("=")) {
        valid = restNamed == null;
        String name = next().text();
        next();
        if (named.put(name, expression()) != null) {
          throw fail("keyword argument repeated: " + name, line);
        }
      } else {
        valid = restPositional == null && restNamed == null && named.isEmpty();
        positional.add(expression());
      }
      if (!valid) {
        throw fail("invalid syntax for function call expression", line);
      }
    }
    expectOperator(")");
    return new ArgumentList(List.copyOf(positional), named, restPositional, restNamed);
  }

  private Expression filters(Expression start) {
    Expression value = start;
    for (int chain = 1; skipOperator("|"); chain++) {
      checkChain(chain);
      value = filter(value);
    }
    return value;
  }

  private Expression filter(Expression value) {
    int line = peek().line();
    String name = dottedName();
    ArgumentList arguments = peek().isOperator("(") ? arguments() : ArgumentList.EMPTY;
    return Filters.exists(name)
        ? new Expression.Filter(value, name, arguments)
        : unknown("No filter named '" + name + "'.", line);
  }

  private Expression unknown(String message, int line) {
    unknowns.add(new Unknown(message, line, soft));
    return new Expression.Unknown(message);
  }

  private String dottedName() {
    StringBuilder name = new StringBuilder(expect(Type.NAME).text());
    while (skipOperator(".")) {
      name.append('.').append(expect(Type.NAME).text());
    }
    return name.toString();
  }

  private Expression test(Expression value) {
    next();
    boolean negated = skipName("not");
    int line = peek().line();
    String name = dottedName();
    ArgumentList arguments = ArgumentList.EMPTY;
    Token token = peek();
    if (token.isOperator("(")) {
      arguments = arguments();
    } else if (token.type() == Type.STRING
        || token.type() == Type.INTEGER
        || token.type() == Type.FLOAT
        || token.isOperator("[")
        || token.isOperator("{")
        || token.type() == Type.NAME && !Set.of("else", "or", "and").contains(token.text())) {
      if (token.isName("is")) {
        throw fail("You cannot chain multiple tests with is");
      }
      Expression argument = postfix(primary());
      arguments = new ArgumentList(List.of(argument), Map.of(), null, null);
    }
    Expression test =
        Tests.exists(name)
            ? new Expression.Test(value, name, arguments)
            : unknown("No test named '" + name + "'.", line);
    return negated ? new Expression.Not(test) : test;
  }
}
