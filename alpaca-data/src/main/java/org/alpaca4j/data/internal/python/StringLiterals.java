package org.alpaca4j.data.internal.python;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import org.alpaca4j.data.internal.python.PythonTree.Kind;

/** Turns neighbouring string tokens, which Python joins, into one tree. */
final class StringLiterals {
  /** Parses an expression inside an f-string. */
  interface FieldParser {
    PythonTree parse(String source, int line) throws PythonSyntaxException;
  }

  private final List<Token> tokens;
  private final FieldParser fields;
  private List<PythonTree> parts = new ArrayList<>();
  private final StringBuilder text = new StringBuilder();

  private StringLiterals(List<Token> tokens, FieldParser fields) {
    this.tokens = tokens;
    this.fields = fields;
  }

  static PythonTree join(List<Token> tokens, FieldParser fields) throws PythonSyntaxException {
    return new StringLiterals(tokens, fields).join();
  }

  private PythonTree join() throws PythonSyntaxException {
    Token first = tokens.get(0);
    boolean formatted = false;
    int bytes = 0;
    for (Token token : tokens) {
      String prefix = prefix(token);
      boolean raw = prefix.contains("r");
      int quotes = token.text().startsWith(tripled(token, prefix), prefix.length()) ? 3 : 1;
      String body =
          token.text().substring(prefix.length() + quotes, token.text().length() - quotes);
      if (prefix.contains("f")) {
        formatted = true;
        new FormatString(body, raw, token.line()).read(0);
      } else if (prefix.contains("b")) {
        bytes++;
        if (body.chars().anyMatch(c -> c >= 128)) {
          throw new PythonSyntaxException(token.line(), "bytes hold only ASCII characters");
        }
        text.append(raw ? body : StringEscapes.decodeBytes(body, token.line()));
      } else {
        text.append(raw ? body : StringEscapes.decode(body, token.line()));
      }
    }
    if (bytes > 0 && bytes < tokens.size()) {
      throw new PythonSyntaxException(first.line(), "bytes and text are joined");
    }
    if (formatted) {
      endText();
      return PythonTree.of(first, Kind.F_STRING, "", parts);
    }
    Kind kind = bytes > 0 ? Kind.BYTES : first.text().startsWith("u") ? Kind.U_STRING : Kind.STRING;
    return PythonTree.leaf(kind, text.toString());
  }

  private static String prefix(Token token) {
    int end = 0;
    while (token.text().charAt(end) != '"' && token.text().charAt(end) != '\'') {
      end++;
    }
    return token.text().substring(0, end).toLowerCase(Locale.ROOT);
  }

  private static String tripled(Token token, String prefix) {
    return token.text().substring(prefix.length(), prefix.length() + 1).repeat(3);
  }

  private void endText() {
    if (text.length() > 0) {
      parts.add(PythonTree.leaf(Kind.STRING, text.toString()));
      text.setLength(0);
    }
  }

  /** The body of an f-string, read as CPython 3.11 does: first text, then fields. */
  private final class FormatString {
    private static final int MAX_NESTED_FORMATS = 2;

    private final String body;
    private final boolean raw;
    private final int line;
    private int at;

    FormatString(String body, boolean raw, int line) {
      this.body = body;
      this.raw = raw;
      this.line = line;
    }

    /** Reads text and fields to the end; of a format specification, to its closing bracket. */
    void read(int nesting) throws PythonSyntaxException {
      while (at < body.length()) {
        if (nesting > 0 && peek() == '}') {
          return;
        }
        literal(nesting);
        if (at < body.length() && peek() == '{') {
          field(nesting);
        }
      }
    }

    private char peek() {
      return body.charAt(at);
    }

    private void literal(int nesting) throws PythonSyntaxException {
      StringBuilder literal = new StringBuilder();
      while (at < body.length()) {
        char c = peek();
        if (c == '\\' && !raw && at + 1 < body.length()) {
          int end = body.startsWith("N{", at + 1) ? body.indexOf('}', at) : at + 1;
          if (end < 0) {
            throw error("a character's name is never closed");
          }
          // A bracket may not be escaped: in \{ the backslash is text, the bracket opens a field.
          end = body.charAt(at + 1) == '{' || body.charAt(at + 1) == '}' ? at : end;
          literal.append(body, at, end + 1);
          at = end + 1;
        } else if (c == '{' || c == '}') {
          boolean doubled = nesting == 0 && at + 1 < body.length() && body.charAt(at + 1) == c;
          if (!doubled) {
            if (c == '}' && nesting == 0) {
              throw error("a single } in an f-string");
            }
            break;
          }
          literal.append(c);
          at += 2;
        } else {
          literal.append(c);
          at++;
        }
      }
      String read = literal.toString();
      text.append(raw ? read : StringEscapes.decode(read, line));
    }

    private void field(int nesting) throws PythonSyntaxException {
      if (nesting >= MAX_NESTED_FORMATS) {
        throw error("fields of an f-string are nested too deeply");
      }
      at++;
      int start = at;
      skipExpression();
      String expression = body.substring(start, at);
      if (expression.isBlank()) {
        throw error("an empty field in an f-string");
      }
      PythonTree value = fields.parse("(" + expression + ")", line);
      boolean shown = take('=');
      if (shown) {
        while (at < body.length() && Character.isWhitespace(peek())) {
          at++;
        }
        text.append(body, start, at);
      }
      endText();
      String conversion = "";
      if (take('!')) {
        conversion = at < body.length() ? body.substring(at, at + 1) : "";
        if (!"sra".contains(conversion) || conversion.isEmpty()) {
          throw error("a field's conversion must be s, r or a");
        }
        at++;
      }
      PythonTree format = PythonTree.ABSENT;
      if (take(':')) {
        format = format(nesting);
      } else if (shown && conversion.isEmpty()) {
        conversion = "r";
      }
      if (!take('}')) {
        throw error("a field of an f-string is never closed");
      }
      Token place = tokens.get(0);
      parts.add(PythonTree.of(place, Kind.FIELD, conversion, List.of(value, format)));
    }

    private PythonTree format(int nesting) throws PythonSyntaxException {
      List<PythonTree> before = parts;
      parts = new ArrayList<>();
      read(nesting + 1);
      endText();
      PythonTree format = PythonTree.of(tokens.get(0), Kind.F_STRING, "", parts);
      parts = before;
      return format;
    }

    /** Stops at what ends the expression: a bracket that it did not open, or = ! : by itself. */
    private void skipExpression() throws PythonSyntaxException {
      Deque<Character> brackets = new ArrayDeque<>();
      for (; at < body.length(); at++) {
        char c = peek();
        if (c == '\\' || c == '#') {
          throw error("a field of an f-string holds '" + c + "'");
        }
        if (c == '"' || c == '\'') {
          skipString(c);
        } else if (c == '(' || c == '[' || c == '{') {
          brackets.push(c == '(' ? ')' : c == '[' ? ']' : '}');
        } else if (brackets.isEmpty() && "!:=<>}".indexOf(c) >= 0) {
          boolean comparison = c != '}' && c != ':' && body.startsWith("=", at + 1);
          if (comparison) {
            at++;
          } else if (c != '<' && c != '>') {
            return;
          }
        } else if (c == ')' || c == ']' || c == '}') {
          if (brackets.isEmpty() || brackets.pop() != c) {
            throw error("'" + c + "' closes nothing in an f-string");
          }
        }
      }
      throw error("a field of an f-string is never closed");
    }

    /** Moves to a string's closing quote. */
    private void skipString(char quote) throws PythonSyntaxException {
      String end = String.valueOf(quote);
      end = body.startsWith(end.repeat(3), at) ? end.repeat(3) : end;
      int close = body.indexOf(end, at + end.length());
      if (close < 0) {
        throw error("a string in an f-string is never closed");
      }
      if (body.substring(at, close).indexOf('\\') >= 0) {
        throw error("a field of an f-string holds '\\'");
      }
      at = close + end.length() - 1;
    }

    private boolean take(char c) {
      if (at < body.length() && peek() == c) {
        at++;
        return true;
      }
      return false;
    }

    private PythonSyntaxException error(String problem) {
      return new PythonSyntaxException(line, problem);
    }
  }
}
