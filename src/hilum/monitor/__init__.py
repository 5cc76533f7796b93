"""Has the world moved? One row of numbers a film, a reference to hold them against, and a test that seldom cries wolf."""
