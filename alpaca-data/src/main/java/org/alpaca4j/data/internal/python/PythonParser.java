package org.alpaca4j.data.internal.python;

import java.util.ArrayList;
import java.util.List;

/**
 * Parses Python 3.11 without executing anything. What CPython's parser accepts is accepted, up to
 * its own limits on nesting (200 brackets, 100 indentations) and a few more: trees of 1,000 levels,
 * integers of 4,300 digits. The patterns of a match statement are not checked.
 *
 * <p>Time and memory grow linearly with the source, whatever it is.
 */
public final class PythonParser {
  private PythonParser() {}

  /**
   * Returns every call in a program, wherever it stands, inner ones before outer ones.
   *
   * @throws PythonSyntaxException if the text is not a Python program
   */
  public static List<PythonTree> calls(String program) throws PythonSyntaxException {
    List<PythonTree> calls = new ArrayList<>();
    new StatementParser(Lexer.tokens(program), calls).parse();
    return calls;
  }

  /**
   * Returns the tree of a single expression.
   *
   * @throws PythonSyntaxException if the text is not a Python expression
   */
  public static PythonTree expression(String text) throws PythonSyntaxException {
    return ExpressionParser.whole(text.stripLeading(), new ArrayList<>(), 0);
  }
}
