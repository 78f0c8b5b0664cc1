package org.alpaca4j.data.selfinstruct;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.alpaca4j.data.DataException;

/**
 * The text that asks a model for new tasks: what is wanted, some tasks as examples, and the
 * beginning of the next one. Immutable and thread-safe.
 */
public final class InstructionPrompt {
  private final String header;

  private InstructionPrompt(String header) {
    this.header = header;
  }

  /**
   * Returns the prompt in our own wording: the same requirements as the original's, whose list is
   * mis-numbered; for that one, see {@link #load}.
   */
  public static InstructionPrompt ofDefaults() {
    try (InputStream in = InstructionPrompt.class.getResourceAsStream("prompt.txt")) {
      byte[] text = Objects.requireNonNull(in, "prompt.txt").readAllBytes();
      return of(new String(text, StandardCharsets.UTF_8).stripTrailing());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Reads a text of one's own, such as Stanford Alpaca's {@code prompt.txt}. Line ends are read as
   * Python reads them: CRLF and CR as LF.
   *
   * @throws DataException if the file cannot be read
   */
  public static InstructionPrompt load(Path file) {
    Objects.requireNonNull(file, "file is null");
    try {
      return of(Files.readString(file).replace("\r\n", "\n").replace('\r', '\n'));
    } catch (IOException e) {
      throw new DataException(file + ": cannot be read as UTF-8 text: " + e, e);
    }
  }

  /** Returns a prompt with a text of one's own; a line feed and the examples follow it. */
  public static InstructionPrompt of(String header) {
    return new InstructionPrompt(Objects.requireNonNull(header, "header is null"));
  }

  /** Returns the text that stands before the examples. */
  public String header() {
    return header;
  }

  /**
   * Returns the prompt with these examples, character for character as the original's {@code
   * encode_prompt} makes it.
   *
   * @param examples shown in this order, numbered from 1; a model goes on after {@code "{n+1}.
   *     Instruction:"}
   */
  public String encode(List<SeedTask> examples) {
    Objects.requireNonNull(examples, "examples is null");
    StringBuilder prompt = new StringBuilder(header).append('\n');
    int number = 0;
    for (SeedTask task : examples) {
      number++;
      String input = task.input().isEmpty() ? ReplyParser.NO_INPUT : task.input();
      prompt.append("###\n");
      prompt.append(number).append(". Instruction: ").append(oneLine(task.instruction()));
      prompt.append('\n').append(number).append(". Input:\n").append(input);
      prompt.append('\n').append(number).append(". Output:\n").append(task.output()).append('\n');
    }
    return prompt.append("###\n").append(opening(number)).toString();
  }

  /** Returns how the first new task begins, which the prompt says and a reply leaves out. */
  static String opening(int examples) {
    return (examples + 1) + ". Instruction:";
  }

  private static String oneLine(String instruction) {
    String line = PythonText.strip(PythonText.collapse(instruction));
    int end = line.length();
    while (end > 0 && line.charAt(end - 1) == ':') {
      end--;
    }
    return line.substring(0, end);
  }
}
