"""What things cost: money as a range, dated lists of prices, what a job costs an hour.

Pure, but for `shelf`, which reads the list that is packaged and the one that this user has
refreshed. Whoever asks for a price that nobody knows gets None, never a guess; whoever shows one
says from where it is, and of when. Asking AWS is the business of `aws`.
"""
