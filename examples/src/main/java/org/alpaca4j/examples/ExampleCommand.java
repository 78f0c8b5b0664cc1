package org.alpaca4j.examples;

import java.io.PrintStream;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.alpaca4j.core.AlpacaException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/** How the command-line examples start and end: arguments, exit codes, messages. */
final class ExampleCommand {
  /** The command did what it was asked for. */
  static final int DONE = 0;

  /** What was asked for failed; the message says why. */
  static final int FAILED = 1;

  /** The arguments are wrong, or ask for what is not supported. */
  static final int REFUSED = 2;

  private ExampleCommand() {}

  /** Runs a command and returns the exit code; every message goes to standard error. */
  static int run(Callable<Integer> command, String... arguments) {
    return commandLine(command).execute(arguments);
  }

  static CommandLine commandLine(Callable<Integer> command) {
    CommandLine line =
        new CommandLine(command)
            .setCaseInsensitiveEnumValuesAllowed(true)
            .registerConverter(Boolean.class, new TrueOrFalse())
            .registerConverter(Path.class, text -> Path.of(withoutQuotes(text)));
    line.setParameterExceptionHandler(
        (refusal, arguments) -> {
          tellRefusal(line, refusal);
          return REFUSED;
        });
    line.setExecutionExceptionHandler(
        (failure, ignored, result) -> {
          if (failure instanceof Refusal) {
            tellRefusal(line, failure);
            return REFUSED;
          }
          if (failure instanceof AlpacaException || failure instanceof IllegalArgumentException) {
            tell(line, String.valueOf(failure.getMessage()));
            return FAILED;
          }
          throw failure;
        });
    return line;
  }

  private static void tellRefusal(CommandLine line, Exception refusal) {
    tell(line, refusal.getMessage() + "\n--help lists the options.");
  }

  private static void tell(CommandLine line, String message) {
    PrintStream err = System.err;
    err.println(line.getCommandName() + ": " + message);
    err.flush();
  }

  /** Returns a text without the quotes around it that a shell would have removed. */
  static String withoutQuotes(String text) {
    if (text.length() >= 2) {
      char first = text.charAt(0);
      if ((first == '"' || first == '\'') && text.charAt(text.length() - 1) == first) {
        return text.substring(1, text.length() - 1);
      }
    }
    return text;
  }

  /** Returns what refuses the arguments; thrown, it leads to exit code {@link #REFUSED}. */
  static RuntimeException refusal(String message) {
    return new Refusal(message);
  }

  @SuppressWarnings("serial") // never serialised
  private static final class Refusal extends RuntimeException {
    Refusal(String message) {
      super(message);
    }
  }

  /** Refuses a number below 1, naming the option. */
  static void requireAtLeastOne(String option, @Nullable Integer value) {
    if (value != null && value < 1) {
      throw refusal(option + " must be at least 1, found " + value);
    }
  }

  /**
   * Refuses a text that did not survive its way here: where the locale has no UTF-8, Java gets the
   * replacement character in place of every other one, and a model would be asked nonsense.
   */
  static void requireReadable(String option, @Nullable String text) {
    if (text != null && text.indexOf('\uFFFD') >= 0) {
      throw refusal(
          option
              + " has characters that this locale cannot pass on: \""
              + text
              + "\"; set LC_ALL=C.UTF-8 (or another UTF-8 locale)");
    }
  }

  /** Python's spelling of truth, and Java's. */
  private static final class TrueOrFalse implements ITypeConverter<Boolean> {
    @Override
    public Boolean convert(String text) {
      return switch (withoutQuotes(text)) {
        case "True", "true" -> true;
        case "False", "false" -> false;
        default -> throw new TypeConversionException("'" + text + "' is neither True nor False");
      };
    }
  }
}
