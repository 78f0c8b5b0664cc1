package org.alpaca4j.data.internal.python;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The syntax tree of an expression. Two trees are equal where CPython's {@code ast.dump} gives the
 * same text: brackets, white space, the way a string or number is written, and an explicit
 * concatenation's neighbours do not count, but an operation is not its result.
 */
public final class PythonTree {
  /** Deep enough for any program, and few enough levels to be walked by recursion. */
  static final int MAX_DEPTH = 1000;

  /** What a tree stands for; the text and the children depend on it. */
  public enum Kind {
    ATTRIBUTE,
    AWAIT,
    BINARY,
    BOOLEAN,
    BYTES,
    /** The function, then positional arguments, {@link #STARRED} ones and {@link #KEYWORD}s. */
    CALL,
    CLAUSE,
    COMPARISON,
    CONDITIONAL,
    /** None, True, False or an ellipsis. */
    CONSTANT,
    DICT,
    DICT_COMPREHENSION,
    FIELD,
    F_STRING,
    GENERATOR,
    /** A named argument, or with the text {@code **} an unpacked dictionary. */
    KEYWORD,
    LAMBDA,
    LIST,
    LIST_COMPREHENSION,
    NAME,
    NONE,
    NUMBER,
    PARAMETER,
    SET,
    SET_COMPREHENSION,
    SLICE,
    STARRED,
    STRING,
    SUBSCRIPT,
    TUPLE,
    UNARY,
    /** A string with the prefix u, which CPython keeps apart. */
    U_STRING,
    WALRUS,
    YIELD,
    YIELD_FROM
  }

  /** Stands where an optional part is missing. */
  static final PythonTree ABSENT = new PythonTree(Kind.NONE, "", List.of(), 1);

  private final Kind kind;
  private final String text;
  private final List<PythonTree> children;
  private final int depth;

  private PythonTree(Kind kind, String text, List<PythonTree> children, int depth) {
    this.kind = kind;
    this.text = text;
    this.children = children;
    this.depth = depth;
  }

  static PythonTree of(Token at, Kind kind, String text, List<PythonTree> children)
      throws PythonSyntaxException {
    int depth = 1;
    for (PythonTree child : children) {
      depth = Math.max(depth, child.depth + 1);
    }
    if (depth > MAX_DEPTH) {
      throw new PythonSyntaxException(at.line(), "nested deeper than " + MAX_DEPTH);
    }
    return new PythonTree(kind, text, List.copyOf(children), depth);
  }

  static PythonTree leaf(Kind kind, String text) {
    return new PythonTree(kind, text, List.of(), 1);
  }

  /** Returns what this stands for. */
  public Kind kind() {
    return kind;
  }

  /** Returns a name, operator or value. */
  public String text() {
    return text;
  }

  /** Returns the parts, in order. */
  public List<PythonTree> children() {
    return children;
  }

  boolean is(Kind other) {
    return kind == other;
  }

  /**
   * Returns a name such as {@code torch.hub.load}; null if this is not a name or the attribute of
   * one.
   */
  public @Nullable String dottedName() {
    StringBuilder name = new StringBuilder();
    PythonTree tree = this;
    while (tree.kind == Kind.ATTRIBUTE) {
      name.insert(0, "." + tree.text);
      tree = tree.children.get(0);
    }
    return tree.kind == Kind.NAME ? tree.text + name : null;
  }

  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof PythonTree that
        && kind == that.kind
        && depth == that.depth
        && text.equals(that.text)
        && children.equals(that.children);
  }

  @Override
  public int hashCode() {
    return 31 * (31 * kind.hashCode() + text.hashCode()) + children.hashCode();
  }

  /** Returns the tree in brackets, for messages and sorting. */
  @Override
  public String toString() {
    StringBuilder out = new StringBuilder();
    print(out);
    return out.toString();
  }

  private void print(StringBuilder out) {
    out.append(kind).append('(').append(text.length()).append(':').append(text);
    for (PythonTree child : children) {
      out.append(' ');
      child.print(out);
    }
    out.append(')');
  }
}
